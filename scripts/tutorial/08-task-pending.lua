-- 08: a task is no value, it is the promise of one. Printed before it has
-- run it says "pending". Both tasks get as far as their first await, and
-- then main is over, and so are they: nothing is ever fetched.

function async.fetch_data()
  print("Start fetching")
  await(sleep(2)) -- stands for a request and its answer
  print("Done fetching")
  return {data = 1}
end

function async.print_numbers()
  for i = 0, 9 do
    print(i)
    await(sleep(0.25))
  end
end

function async.main()
  local task1 = create_task(fetch_data())
  create_task(print_numbers())

  print(task1) -- too early for {data = 1}
end

run(main())
