-- 02: calling an async function runs none of it. The call gives a
-- coroutine object, and that is what gets printed: no "hello world". At
-- the end a warning says that nobody has awaited it.

function async.main()
  print("hello world")
end

print(main())
