-- 12: three downloads of 2 seconds each. gather makes a task of each and
-- waits for all: they wait side by side, so that together they take 2
-- seconds, not 6.

local asyncio = require "asyncio"

function async.download_file(file)
  print("Starting download for " .. file)
  await(sleep(2)) -- stands for the download
  print("Finished downloading " .. file)
end

function async.main()
  local start = asyncio.time()
  local downloads = {}
  for i, file in ipairs {"file1.pdf", "file2.pdf", "file3.pdf"} do
    downloads[i] = download_file(file)
  end

  await(gather(downloads))
  print(string.format("took %.0f seconds", asyncio.time() - start))
end

run(main())
