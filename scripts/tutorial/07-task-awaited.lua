-- 07: the same with one line more: main awaits the task before it ends.
-- Now "Ending foo" is printed, and the program takes its second.

function async.main()
  print("awaiting foo...")
  local task = create_task(foo("inside foo"))
  print("finished awaiting foo")
  await(task)
end

function async.foo(text)
  print(text)
  await(sleep(1))
  print("Ending foo")
end

run(main())
