-- 13: an error comes out of the await of what failed, and pcall around
-- that await catches it: pcall(await, x) is await(x), caught. One address
-- answers and one does not; the second costs a message, not the program.

function async.request(url)
  await(sleep(0.1)) -- stands for the way to the server and back
  if url:find("unreachable", 1, true) then
    error("cannot connect to " .. url, 0) -- 0: no file and line before it
  end
  return {url = url, title = "todo"}
end

function async.fetch_data(url)
  local ok, result = pcall(await, request(url))
  if not ok then
    print("An error occurred: " .. tostring(result))
    return nil
  end
  return result
end

function async.main()
  local urls = {"http://example.org/todos/1", "http://unreachable.example/todos/1"}
  for _, url in ipairs(urls) do
    local result = await(fetch_data(url))
    if result then
      print(string.format("{url = %q, title = %q}", result.url, result.title))
    else
      print("no result for " .. url)
    end
  end
end

run(main())
