"""The index of the API: the URLs of all lists."""


def test_index_links_lead_to_lists(api):
    response = api.get("/api/v1/")

    assert response.status_code == 200
    resources = response.json()["resources"]
    assert resources["periodic-tasks"] == "http://testserver/api/v1/periodic-tasks/"
    assert resources["service-accounts"] == "http://testserver/api/v1/service-accounts/"
    assert len(resources) == 15
    for address in resources.values():
        assert api.get(address.removeprefix("http://testserver")).status_code == 200


def test_index_refuses_parameters(api):
    response = api.get("/api/v1/?page_size=3")

    assert response.status_code == 400
    assert response.json()["errors"][0]["parameter"] == "page_size"


def test_index_refuses_writes(api):
    response = api.post("/api/v1/", {})

    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD"
