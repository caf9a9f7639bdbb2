-- 14: what goes wrong in a request - no such host, nobody there, a
-- certificate that is not to be trusted - is an error that comes out of an
-- await, and pcall around it costs a message, not the program. That the
-- server answers "404 Not Found" is an answer; raise_for_status makes it an
-- error as well.
--
-- usage: 14-error-handling.lua [SERVER [CA]]
-- As 13. To see an error: https://nowhere.invalid as the server.

local http = require "http"
local json = require "json"

local server = arg[1] or "https://jsonplaceholder.typicode.com"
local ca = arg[2]

function async.fetch_data(url)
  local ok, result = pcall(function()
    local session <close> = http.ClientSession{ca = ca}
    local response <close> = await(session:get(url))
    response:raise_for_status()
    return await(response:json())
  end)
  if not ok then
    print("An error occurred: " .. tostring(result))
    return nil
  end
  return result
end

function async.main()
  local result = await(fetch_data(server .. "/todos/1"))
  if result then
    print(json.encode(result))
  end
end

run(main())
