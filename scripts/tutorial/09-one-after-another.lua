-- 09: the obvious way to the value: await one function, then the other.
-- It is there, but the numbers only start when the fetching is done: 2
-- seconds and 10 quarters of a second, one after the other, are 4.5.

local asyncio = require "asyncio"

function async.fetch_data()
  print("Start fetching")
  await(sleep(2))
  print("Done fetching")
  return {data = 1}
end

function async.print_numbers()
  for i = 0, 9 do
    print(i)
    await(sleep(0.25))
  end
end

function async.main()
  local start = asyncio.time()
  local value = await(fetch_data())
  print(string.format("{data = %d}", value.data))
  await(print_numbers())
  print(string.format("took %.1f seconds", asyncio.time() - start))
end

run(main())
