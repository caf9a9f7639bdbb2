-- 10: two tasks take turns. While fetch_data waits its 2 seconds for an
-- answer, print_numbers gets 8 numbers out; then the value arrives at the
-- await in main, and the last two numbers follow. 2.5 seconds for all of
-- it, and never two things at the same moment: a task runs until it
-- awaits, and then it is another one's turn.

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
  local task2 = create_task(print_numbers())

  local value = await(task1) -- main waits; both tasks go on
  print(string.format("{data = %d}", value.data))
  await(task2)
end

run(main())
