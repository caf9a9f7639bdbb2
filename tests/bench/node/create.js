// Start trivial async functions in batches of 1000, then await each; prints ns for each.
'use strict';
const clock = require('./clock');

const BATCH = 1000;
const batches = Math.floor(Number(process.argv[2]) / BATCH);

async function one() { return 1; }

async function main() {
  let sum = 0;
  const start = clock();
  for (let b = 0; b < batches; b++) {
    const promises = [];
    for (let i = 0; i < BATCH; i++) promises.push(one());
    for (const promise of promises) sum += await promise;
  }
  const spent = clock() - start;
  if (sum !== batches * BATCH) throw new Error('wrong sum');
  console.log(spent * 1e9 / sum);
}

main();
