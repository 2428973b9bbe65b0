// Redoc shows its maker's logo, from a host of others: an image from elsewhere is not fetched.
HTMLImageElement.prototype.setAttribute = function (name, value) {
  const isElsewhere = name === "src" && !["", location.host].includes(new URL(value, location).host);
  if (!isElsewhere) Element.prototype.setAttribute.call(this, name, value);
};
Object.defineProperty(HTMLImageElement.prototype, "src", {
  set(value) { this.setAttribute("src", value); },
});
