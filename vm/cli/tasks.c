/*
** tasks.c - what the interactive mode does to all tasks: names them, ends
** them. It is done in Lua, where that is short, with as few globals as can be:
** users call their variables `table` and `next`, too.
*/
#include "tasks.h"

#include <signal.h>

#include "turn.h"

#define SECOND 1000000000 /* ns */

static const char name_tasks[] =
  "local tasks, text = require 'asyncio'.all_tasks(), 'still running: '\n"
  "for i = 1, #tasks do\n"
  "  if i > 1 then text = text .. ', ' end\n"
  "  if i > 20 then text = text .. #tasks - 20 .. ' more' break end\n"
  "  text = text .. tasks[i]:get_name()\n"
  "end\n"
  "if #tasks > 0 then io.stderr:write(text, '\\n') end";

/* As at the end of a run: who makes a new task in its cleanup has that
   cancelled in a further round. */
static const char end_tasks[] =
  "local asyncio = require 'asyncio'\n"
  "local me, asked = asyncio.current_task(), {}\n"
  "repeat\n"
  "  local left = {}\n"
  "  local tasks = asyncio.all_tasks()\n"
  "  for i = 1, #tasks do\n"
  "    local task = tasks[i]\n"
  "    if task ~= me then left[#left + 1] = task end\n"
  "    if task ~= me and not asked[task] then\n"
  "      asked[task] = true\n"
  "      task:cancel()\n"
  "    end\n"
  "  end\n"
  "  if #left > 0 then\n" /* not await(left[1]): its error is to be told */
  "    local over = asyncio.Future()\n"
  "    left[1]:add_done_callback(function() over:set_result() end)\n"
  "    asyncio.await(over)\n"
  "  end\n"
  "until #left == 0";

void neap__tasks_interrupted(neap__runner *runner) {
  static uint64_t before; /* when the last one came */
  uint64_t now = uv_hrtime();
  neap_value function;
  if (before != 0 && now - before < SECOND &&
      neap_load(runner->vm, "names", name_tasks, sizeof name_tasks - 1,
                &function) == NEAP_OK)
    (void)neap_call(runner->vm, &function, NULL, 0, NULL, 0, 0); /* no more
                                                       than the names is lost */
  before = now;
}

void neap__tasks_end(neap__runner *runner) {
  neap_vm *vm = runner->vm;
  neap_statistics stats;
  neap_value function;
  neap_task task;
  if (neap_stats(vm, &stats) != NEAP_OK || stats.tasks == 0)
    return;
  if (neap_load(vm, "end", end_tasks, sizeof end_tasks - 1, &function) !=
          NEAP_OK ||
      neap_spawn(vm, &function, NULL, 0, 0, NULL, NULL, &task) != NEAP_OK)
    return; /* no memory: neap_close ends them, without cleanup */
  while (neap_pending(vm, task) && neap_alive(vm)) {
    int event = neap__turn(runner, -1, -1);
    if (event == SIGTERM || event == SIGHUP)
      runner->signal = event;
    if (event > 0 && event != SIGWINCH)
      return; /* nobody wants to wait */
  }
}
