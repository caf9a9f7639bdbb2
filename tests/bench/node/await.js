// `await one()` of an async function that does not suspend; prints ns per await.
'use strict';
const clock = require('./clock');

const n = Number(process.argv[2]);

async function one() { return 1; }

async function main() {
  let sum = 0;
  const start = clock();
  for (let i = 0; i < n; i++) sum += await one();
  const spent = clock() - start;
  if (sum !== n) throw new Error('wrong sum');
  console.log(spent * 1e9 / n);
}

main();
