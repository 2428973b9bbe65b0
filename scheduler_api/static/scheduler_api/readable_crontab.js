// In the admin, say in words what the chosen crontab means.
const readableCrontabs = JSON.parse(document.getElementById("readable-crontabs").textContent);
const translation = document.createElement("div");
document.querySelector(".field-crontab .help").append(translation);
django.jQuery(".field-crontab_translation").hide();
django.jQuery("#id_crontab").on("change", function () {
  translation.textContent = this.value && `Translation: ${readableCrontabs[this.value]}`;
});
