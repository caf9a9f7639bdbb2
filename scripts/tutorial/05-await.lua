-- 05: await runs another coroutine object and waits for its end. The last
-- line comes a second after the one before. So far this could as well be
-- a synchronous program: one thing after the other.

function async.main()
  print("awaiting foo...")
  await(foo("inside foo"))
  print("finished awaiting foo")
end

function async.foo(text)
  print(text)
  await(sleep(1)) -- sleep(1) alone is only one more coroutine object
end

run(main())
