-- 13: real requests. gather runs two of them side by side: while one waits
-- for its answer, the other gets on. Session and response are to-be-closed
-- variables, which stand for `async with`: whatever happens, they are closed
-- at the end of the function.
--
-- usage: 13-fetch-several.lua [SERVER [CA]]
-- SERVER is what the addresses begin with; CA a file with the certificate
-- of the authority to trust, for a server of your own.

local http = require "http"
local json = require "json"

local server = arg[1] or "https://jsonplaceholder.typicode.com"
local ca = arg[2]

function async.fetch_data(url)
  local session <close> = http.ClientSession{ca = ca}
  local response <close> = await(session:get(url))
  return await(response:json())
end

function async.main()
  local requests = {}
  for i, path in ipairs {"/todos/1", "/todos/2"} do
    requests[i] = fetch_data(server .. path)
  end

  local results = await(gather(requests))
  for _, result in ipairs(results) do
    print(json.encode(result))
  end
end

run(main())
