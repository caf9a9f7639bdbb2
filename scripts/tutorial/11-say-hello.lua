-- 11: any async function can be the one that run starts, arguments and
-- all. Two seconds lie between the two lines.

function async.say_hello(name)
  print("Hello, " .. name)
  await(sleep(2))
  print("Goodbye, " .. name)
end

run(say_hello("Alice"))
