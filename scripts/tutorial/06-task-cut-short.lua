-- 06: a task runs beside the function that creates it. It starts as soon
-- as main has to wait, or, as here, has ended: "inside foo" comes last.
-- But run waits for main alone: what is still asleep then is cancelled.
-- "Ending foo" is never printed, and the program ends at once, not after
-- a second.

function async.main()
  print("awaiting foo...")
  create_task(foo("inside foo"))
  print("finished awaiting foo")
end

function async.foo(text)
  print(text)
  await(sleep(1))
  print("Ending foo")
end

run(main())
