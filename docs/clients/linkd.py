"""A thin client for linkd: one file, Python's standard library only.

    import linkd

    with linkd.Client("/run/linkd/linkd.sock") as client:
        client.create("firms", model="all-MiniLM-L6-v2", text=["name", "city"])
        client.put("firms", [{"id": "f1", "fields": {"name": "Acme", "city": "Bonn"}}])
        for hit in client.search("firms", text="ACME, Bonn", k=5)["hits"]:
            print(hit["id"], hit["score"])

Over TCP: linkd.Client(host="127.0.0.1", port=6380, token="...").

Every method is one request, and answers what docs/http-api.md says, decoded.
A failure raises linkd.Error, which has status, code and detail. Writes carry an
Idempotency-Key, so one that broke off is sent again safely. A Client is for one
thread at a time.
"""

import array
import http.client
import json
import os
import socket
import sys
import urllib.parse
import uuid

__all__ = ["Client", "Error"]


class Error(Exception):
    """linkd refused a request; the problem document's members."""

    def __init__(self, status, code, detail):
        super().__init__("%s (%s, %d)" % (detail, code, status))
        self.status = status
        self.code = code
        self.detail = detail


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _quote(part):
    return urllib.parse.quote(str(part), safe="")


def _floats(vectors):
    """Rows of numbers, an array of floats or a numpy array as f32 bytes."""
    if hasattr(vectors, "astype"):
        return vectors.astype("<f4", order="C").tobytes()
    flat = array.array("f")
    for row in vectors:
        flat.extend(row)
    if sys.byteorder == "big":
        flat.byteswap()
    return flat.tobytes()


class Client:
    def __init__(self, path=None, host=None, port=None, token=None, timeout=60):
        if (path is None) == (host is None):
            raise ValueError("give a socket's path, or host and port")
        self._headers = {}
        if token is not None:
            self._headers["Authorization"] = "Bearer " + token
        if path is not None:
            self._connection = _UnixConnection(os.fspath(path), timeout)
        else:
            self._connection = http.client.HTTPConnection(host, port, timeout=timeout)

    def close(self):
        self._connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- requests ----------------------------------------------------------

    def _send(self, method, path, body, headers, retries):
        """The response; a connection that broke is opened anew."""
        while True:
            try:
                self._connection.request(method, path, body, headers)
                return self._connection.getresponse()
            except (ConnectionError, http.client.BadStatusLine):
                self._connection.close()
                if retries == 0:
                    raise
                retries -= 1

    def _open(self, method, path, body=None, content_type=None, query=None, accept=None):
        headers = dict(self._headers)
        if query:
            given = {k: v for k, v in query.items() if v is not None}
            path += "?" + urllib.parse.urlencode(given) if given else ""
        if body is not None and content_type is None:
            body = json.dumps(body, ensure_ascii=False).encode()
            content_type = "application/json"
        if content_type is not None:
            headers["Content-Type"] = content_type
        if accept is not None:
            headers["Accept"] = accept
        if method != "GET":
            headers["Idempotency-Key"] = uuid.uuid4().hex
        response = self._send(method, path, body, headers, retries=1)
        if response.status >= 400:
            raise self._error(response)
        return response

    @staticmethod
    def _error(response):
        text = response.read()
        try:
            problem = json.loads(text)
            return Error(response.status, problem["code"], problem["detail"])
        except (ValueError, KeyError):
            return Error(response.status, "unknown", text.decode(errors="replace"))

    def request(self, method, path, body=None, content_type=None, query=None):
        """Any request; the decoded JSON of the answer."""
        text = self._open(method, path, body, content_type, query).read()
        return json.loads(text) if text else None

    def _lines(self, path, query=None):
        response = self._open("GET", path, query=query, accept="application/x-ndjson")
        is_whole = False
        try:
            for line in response:
                yield json.loads(line)
            is_whole = True
        finally:
            # Who stops before the end leaves the rest in the connection.
            response.close()
            if not is_whole:
                self._connection.close()

    # ---- collections -------------------------------------------------------

    def collections(self):
        return self.request("GET", "/v1/collections")["collections"]

    def create(self, collection, **options):
        return self.request("PUT", "/v1/collections/" + _quote(collection), options)

    def collection(self, collection):
        return self.request("GET", "/v1/collections/" + _quote(collection))

    def drop(self, collection):
        return self.request("DELETE", "/v1/collections/" + _quote(collection))

    # ---- records -----------------------------------------------------------

    def _records(self, collection):
        return "/v1/collections/" + _quote(collection) + "/records"

    def put(self, collection, records):
        """Creates or replaces records: all of them or none."""
        return self.request("POST", self._records(collection), {"records": list(records)})

    def put_vectors(self, collection, vectors, first_id=0):
        """Ready-made vectors; their ids are first_id and the numbers after."""
        return self.request("POST", self._records(collection), _floats(vectors),
                            "application/octet-stream", {"first_id": first_id})

    def put_csv(self, collection, text, id_column=None):
        return self.request("POST", self._records(collection), text, "text/csv",
                            {"id": id_column})

    def get(self, collection, record, vectors=False):
        return self.request("GET", self._records(collection) + "/" + _quote(record),
                            query={"vectors": "true" if vectors else None})

    def delete(self, collection, ids):
        return self.request("POST", self._records(collection) + "/delete", {"ids": list(ids)})

    def scroll(self, collection, filter=None, vectors=False):
        """Yields every record."""
        return self._lines(self._records(collection), {
            "filter": json.dumps(filter) if filter is not None else None,
            "vectors": "true" if vectors else None})

    # ---- search and attach -------------------------------------------------

    def search(self, collection, **query):
        """text=, vector=, record= or queries=; k, threshold, filter, fields, ..."""
        return self.request("POST", "/v1/collections/" + _quote(collection) + "/search", query)

    def attach(self, collection, record, **options):
        """Which entity is this record? Decided and stored in one step."""
        return self.request("POST", "/v1/collections/" + _quote(collection) + "/attach",
                            {**record, **options})

    def entity(self, collection, entity):
        return self.request("GET", "/v1/collections/%s/entities/%d" % (_quote(collection), entity))

    def events(self, collection):
        """Yields the merges and splits of entities, oldest first."""
        start = 0
        while start is not None:
            answer = self.request("GET", "/v1/collections/%s/events?from=%d" % (_quote(collection), start))
            yield from answer["events"]
            start = answer["next"]

    # ---- jobs --------------------------------------------------------------

    def upload(self, text, content_type="text/csv"):
        """A table for jobs; the name to give as {"file": name}."""
        return self.request("POST", "/v1/files", text, content_type)["file"]

    def submit(self, **job):
        return self.request("POST", "/v1/jobs", job)

    def jobs(self):
        return self.request("GET", "/v1/jobs")["jobs"]

    def job(self, job):
        return self.request("GET", "/v1/jobs/%d" % job)

    def cancel(self, job):
        return self.request("POST", "/v1/jobs/%d/cancel" % job, {})

    def watch(self, job):
        """Yields the job at each change, until it has ended."""
        return self._lines("/v1/jobs/%d/events" % job)

    def wait(self, job):
        """The job when it has ended."""
        last = None
        for last in self.watch(job):
            pass
        return last

    def results(self, job):
        """Yields the rows of the result."""
        return self._lines("/v1/jobs/%d/results" % job, {"format": "ndjson"})

    # ---- models ------------------------------------------------------------

    def embed(self, texts, model=None):
        """One vector per text."""
        body = {"input": list(texts)}
        if model is not None:
            body["model"] = model
        return [item["embedding"] for item in self.request("POST", "/v1/embeddings", body)["data"]]

    def models(self):
        return self.request("GET", "/v1/models")["data"]
