# JSON: decode a document n times, or encode what it holds; prints ms of processor time per document.
# usage: json.py N decode|encode FILE
import sys
import time

sys.path.pop(0)  # this file's own folder, where it is `json`
import json  # noqa: E402

n, way, path = int(sys.argv[1]), sys.argv[2], sys.argv[3]
with open(path, encoding="utf-8") as file:
    text = file.read()
# as Neap writes it, and the encoder made beforehand
encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
value, encoded = json.loads(text), None

start = time.process_time()
if way == "decode":
    for _ in range(n):
        value = json.loads(text)
else:
    for _ in range(n):
        encoded = encode(value)
spent = time.process_time() - start

assert "unicode" in path or (encoded or encode(value)) == text
print(spent * 1e3 / n)
