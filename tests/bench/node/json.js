// JSON: decode a document n times, or encode what it holds; prints ms of processor time per document.
// usage: json.js N decode|encode FILE
'use strict';
const clock = require('./clock');
const fs = require('fs');

const [n, way, path] = [Number(process.argv[2]), process.argv[3], process.argv[4]];
const text = fs.readFileSync(path, 'utf8');
let value = JSON.parse(text);
let encoded = text;

const start = clock();
if (way === 'decode') {
  for (let i = 0; i < n; i++) value = JSON.parse(text);
} else {
  for (let i = 0; i < n; i++) encoded = JSON.stringify(value);
}
const spent = clock() - start;

// it has one kind of number, and writes 1.0 as 1
if (encoded.length < text.length * 0.9) throw new Error('not all was encoded');
console.log(spent * 1e3 / n);
