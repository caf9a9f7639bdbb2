// Sleeping async functions: n of them asleep at once, at 1000 distinct times; prints bytes of resident
// memory for each and the seconds it took to create them and put them to sleep.
'use strict';
const clock = require('./clock');

const n = Number(process.argv[2]);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function sleeper(ms) { await sleep(ms); }

async function main() {
  const before = process.memoryUsage.rss();
  const start = clock();
  for (let i = 0; i < n; i++) sleeper((3600 + i % 1000) * 1000);
  await null;
  const spent = clock() - start;
  console.log((process.memoryUsage.rss() - before) / n, spent);
  process.exit(0); // what comes after is not measured
}

main();
