/*
** tasks.c - what the interactive mode does to all tasks: names them, ends
** them. It is done in Lua, where that is short.
*/
#include "tasks.h"

#include <signal.h>

#include "turn.h"

#define SECOND 1000000000 /* ns */

static const char name_tasks[] =
  "local tasks, names = require 'asyncio'.all_tasks(), {}\n"
  "for i = 1, math.min(#tasks, 20) do names[i] = tasks[i]:get_name() end\n"
  "local more = #tasks - #names\n"
  "if more > 0 then names[#names + 1] = more .. ' more' end\n"
  "if #tasks > 0 then\n"
  "  io.stderr:write('still running: ', table.concat(names, ', '), '\\n')\n"
  "end";

/* As at the end of a run: who makes a new task in its cleanup has that
   cancelled in a further round. */
static const char end_tasks[] =
  "local asyncio = require 'asyncio'\n"
  "local me, asked = asyncio.current_task(), {}\n"
  "repeat\n"
  "  local left = {}\n"
  "  for _, task in ipairs(asyncio.all_tasks()) do\n"
  "    if task ~= me then left[#left + 1] = task end\n"
  "    if task ~= me and not asked[task] then\n"
  "      asked[task] = true\n"
  "      task:cancel()\n"
  "    end\n"
  "  end\n"
  "  if #left > 0 then asyncio.await(asyncio.wait(left)) end\n"
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
