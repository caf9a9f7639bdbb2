-- 04: run starts the event loop, makes a task of the coroutine object,
-- and returns when that task is done. Now "hello world" appears.

function async.main()
  print("hello world")
end

run(main())
