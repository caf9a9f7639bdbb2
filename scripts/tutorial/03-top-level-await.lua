-- 03: await needs a task to suspend, and a task needs the event loop. Out
-- here there is neither, so this program ends with an error, which names
-- what is missing: run().

function async.main()
  print("hello world")
end

await(main())
