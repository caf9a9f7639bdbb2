/*
** calls.c - every allocation fails in turn while a host calls the functions
** of neap.h: each group of them is a run. What is to be given back is
** counted, and has been given back once when the VM is closed.
*/
#include "torture.h"

#include <math.h>

/* {======================================================
** Values, code
** ======================================================= */

static void values(neap_vm *vm, const void *ud) {
  neap_value name = neap_text("a name longer than forty characters, for Lua"),
             table, key, value, kept;
  char text[200];
  int n = 0, more;
  (void)ud;
  if (went(vm, neap_set(vm, "app.config.name", &name))) {
    if (went(vm, neap_get(vm, "app.config.name", &value)))
      assert_string_equal(value.as.string.data, name.as.string.data);
    refused(vm, neap_set(vm, "app.config.name.first", &name), NEAP_EINVAL);
  }
  if (!went(vm, neap_table_new(vm, &table)) || !went(vm, neap_retain(vm, &table)))
    return;
  for (int i = 1; i <= 20; i++) {
    key = i % 2 ? neap_integer(i) : neap_bytes("abcdefghijklmnopqrst", i);
    value = neap_number(i / 2.0);
    n += went(vm, neap_table_set(vm, &table, &key, &value));
  }
  key = neap_nil();
  while ((more = neap_table_next(vm, &table, &key, &value)) == 1)
    n--;
  if (went(vm, more))
    assert_int_equal(n, 0);
  if (went(vm, neap_set(vm, "list", &table)) &&
      went(vm, neap_get(vm, "list", &value))) {
    assert_int_equal(value.type, NEAP_TABLE);
    assert_true(strlen(neap_describe(vm, &value, text, sizeof text)) > 0);
  }
  kept = name;
  assert_true(strlen(neap_describe(vm, &name, text, sizeof text)) > 0);
  if (went(vm, neap_set(vm, "app.config.name", &name)) &&
      went(vm, neap_get(vm, "app", &kept)) && went(vm, neap_retain(vm, &kept))) {
    key = neap_text("config");
    if (went(vm, neap_table_get(vm, &kept, &key, &value)))
      assert_int_equal(value.type, NEAP_TABLE);
    assert_int_equal(neap_release(vm, &kept), NEAP_OK);
  }
  assert_int_equal(neap_release(vm, &table), NEAP_OK);
}

static void code(neap_vm *vm, const void *ud) {
  neap_value script, function, results[4], args[2];
  (void)ud;
  refused(vm, neap_load(vm, "bad", "local = 1", 9, &script), NEAP_ESYNTAX);
  refused(vm, neap_load(vm, "binary", LUA_SIGNATURE "x", 5, &script),
          NEAP_ESYNTAX);
  args[0] = neap_text("text");
  args[1] = neap_number(0.5);
  if (load(vm, "script", "#!neap\nreturn select('#', ...), ..., {}", &script) &&
      went(vm, neap_call(vm, &script, args, 2, results, 4, 0))) {
    assert_true(results[0].type == NEAP_INTEGER && results[0].as.integer == 2);
    assert_string_equal(results[1].as.string.data, "text");
    assert_int_equal(results[2].type, NEAP_TABLE);
    assert_int_equal(results[3].type, NEAP_NIL);
  }
  if (load(vm, "function",
           "return function(what) local function f() error(what) end f() end",
           &script) &&
      went(vm, neap_call(vm, &script, NULL, 0, &function, 1, 0)) &&
      went(vm, neap_retain(vm, &function))) {
    args[0] = neap_text("boom");
    refused(vm, neap_call(vm, &function, args, 1, NULL, 0, 0), NEAP_ESCRIPT);
    args[0] = neap_boolean(1);
    refused(vm, neap_call(vm, &function, args, 1, NULL, 0, 0), NEAP_ESCRIPT);
    assert_int_equal(neap_release(vm, &function), NEAP_OK);
  }
  if (load(vm, "cancelled",
           "error(require 'asyncio'.CancelledError('no more'))", &script))
    refused(vm, neap_call(vm, &script, NULL, 0, NULL, 0, 0), NEAP_ECANCELED);
  if (load(vm, "awaits", "await(sleep(0))", &script))
    refused(vm, neap_call(vm, &script, NULL, 0, NULL, 0, 0), NEAP_ESCRIPT);
}

/* ====================================================== } */

/* {======================================================
** Tasks
** ======================================================= */

static void tasks(neap_vm *vm, const void *ud) {
  neap_value function, args[2];
  neap_task begun[5];
  int n = 0;
  (void)ud;
  if (!load(vm, "task",
            "local i, seconds = ...\n"
            "local _ <close> = setmetatable({}, {__close = function()\n"
            "  await(sleep(0))\n"
            "end})\n"
            "await(gather(sleep(seconds), sleep(0)))\n"
            "return i, seconds",
            &function) ||
      !went(vm, neap_retain(vm, &function)))
    return;
  for (int i = 0; i < 5; i++) {
    args[0] = neap_integer(i);
    args[1] = neap_number(i == 0 ? 0.0001 : 100);
    n += start(vm, &function, args, 2, 0, &begun[n]);
  }
  run_ready(vm);
  for (int i = 0; i < n; i++)
    assert_true(neap_pending(vm, begun[i]) || mem.failures > 0 || i == 0);
  for (int i = 1; i < n; i++) {
    int status = i % 2 ? neap_cancel(vm, begun[i], i == 1 ? "message" : NULL)
                       : neap_kill(vm, begun[i]);
    if (mem.failures == 0 || status != NEAP_ENOENT)
      went(vm, status);
  }
  /* what could not be cancelled is killed: nobody waits 100 seconds */
  run_ready(vm);
  for (int i = 0; i < n; i++)
    if (mem.failures > 0 && neap_pending(vm, begun[i]))
      assert_int_equal(neap_kill(vm, begun[i]), NEAP_OK);
  run_loop(vm);
  memory_is_back();
  run_loop(vm);
  for (int i = 0; i < n; i++)
    assert_false(neap_pending(vm, begun[i]));
  assert_int_equal(neap_cancel(vm, 12345, NULL), NEAP_ENOENT);
  assert_int_equal(neap_kill(vm, 12345), NEAP_ENOENT);
  assert_int_equal(neap_release(vm, &function), NEAP_OK);
}

/* A foreign loop: waits for the descriptor and ticks. */
static void foreign_loop(neap_vm *vm, const void *ud) {
  neap_value function;
  int fd, status;
  (void)ud;
  if (!load(vm, "task", "for _ = 1, 3 do await(sleep(0.0001)) end",
            &function) ||
      !start(vm, &function, NULL, 0, 0, NULL))
    return;
  fd = neap_backend_fd(vm);
  if (fd < 0 && !went(vm, fd == -1 ? NEAP_ENOMEM : fd))
    return;
  for (int i = 0; neap_alive(vm) && i < 1000; i++) {
    struct timespec ms = {0, 1000000};
    if (neap_backend_timeout(vm) != 0)
      nanosleep(&ms, NULL);
    status = neap_tick(vm, 1000);
    if (!went(vm, status) && ended > 0)
      break;
  }
  assert_true(ended == 1 || mem.failures > 0);
}

/* ====================================================== } */

/* {======================================================
** Native functions, objects
** ======================================================= */

static int finalized, made;

static void finalize(void *object) {
  finalized++;
  free(object);
}

static int object_get(neap_frame *frame, void *ud) {
  return neap_return(frame, neap_integer(*(int *)ud));
}

static int object_add(neap_frame *frame, void *ud) {
  lua_Integer n;
  int status = neap_arg_integer(frame, 1, &n);
  if (status == NEAP_OK)
    *(int *)ud += (int)n;
  return status;
}

static const neap_method methods[] = {
  {"get", object_get, 0},
  {"add", object_add, 0},
  {"later", object_get, 1},
  {"__len", object_get, 0},
  {NULL, NULL, 0},
};

static const neap_class counter_class = {"Counter", methods, finalize};

static int new_counter(neap_frame *frame, void *ud) {
  neap_value value;
  int *counter = calloc(1, sizeof *counter), status;
  (void)ud;
  if (counter == NULL)
    return NEAP_ENOMEM;
  status = neap_object_new(neap_frame_vm(frame), &counter_class, counter,
                           &value);
  if (status != NEAP_OK) {
    free(counter);
    return status;
  }
  made++;
  return neap_return(frame, value);
}

static int revoke_object(neap_frame *frame, void *ud) {
  neap_value object = neap_arg(frame, 1);
  (void)ud;
  return neap_revoke(neap_frame_vm(frame), &object);
}

/* Takes one argument of each type, gives results of each. */
static int everything(neap_frame *frame, void *ud) {
  neap_vm *vm = neap_frame_vm(frame);
  neap_value table, function, value;
  lua_Integer i;
  lua_Number x;
  const char *text;
  size_t size;
  void *object;
  int flag, status;
  assert_string_equal(ud, "ud");
  if ((status = neap_arg_integer(frame, 1, &i)) != NEAP_OK ||
      (status = neap_arg_number(frame, 2, &x)) != NEAP_OK ||
      (status = neap_arg_boolean(frame, 3, &flag)) != NEAP_OK ||
      (status = neap_arg_string(frame, 4, &text, &size)) != NEAP_OK ||
      (status = neap_arg_object(frame, 5, &counter_class, &object)) != NEAP_OK)
    return status;
  if ((status = neap_table_new(vm, &table)) != NEAP_OK ||
      (status = neap_return(frame, neap_integer(i))) != NEAP_OK ||
      (status = neap_return(frame, neap_number(x))) != NEAP_OK ||
      (status = neap_return(frame, neap_bytes(text, size))) != NEAP_OK ||
      (status = neap_return(frame, table)) != NEAP_OK)
    return status;
  /* a call back into the VM, with the function that came as the last one */
  function = neap_arg(frame, 6);
  if ((status = neap_call(vm, &function, &table, 1, &value, 1, 0)) != NEAP_OK ||
      (status = neap_return(frame, value)) != NEAP_OK)
    return status;
  return neap_checkpoint(frame);
}

static int fails(neap_frame *frame, void *ud) {
  (void)ud;
  return neap_fail(frame, "%s of %d", "failure", neap_arg_count(frame));
}

static void natives(neap_vm *vm, const void *ud) {
  static const char script[] =
    "local function memory(ok, err)\n"
    "  assert(not ok)\n"
    "  if err == 'not enough memory' then error(err, 0) end\n"
    "  return err\n"
    "end\n"
    "local c = counter()\n"
    "c:add(2) c:add(3)\n"
    "assert(c:get() == 5 and #c == 5 and await(c:later()) == 5)\n"
    "local i, x, s, t, back = host.everything(7.0, '0.5', nil, 12, c,\n"
    "  function(t) t[1] = 'called' return #t end)\n"
    "assert(i == 7 and x == 0.5 and s == '12' and t[1] == 'called')\n"
    "assert(back == 1)\n"
    "assert(memory(pcall(host.everything, 'x')):find 'integer expected')\n"
    "assert(memory(pcall(fails, 1, 2)):find 'failure of 2')\n"
    "assert(memory(pcall(c.get, {})))\n"
    "revoke(c)\n"
    "assert(memory(pcall(c.get, c)):find 'gone')\n"
    "for _ = 1, 5 do counter() end";
  neap_value function;
  (void)ud;
  made = finalized = 0;
  if (went(vm, neap_register(vm, "host.everything", everything, "ud")) &&
      went(vm, neap_register(vm, "counter", new_counter, NULL)) &&
      went(vm, neap_register_async(vm, "fails", fails, NULL)) &&
      went(vm, neap_function_new(vm, "fails", fails, NULL, &function)) &&
      went(vm, neap_set(vm, "fails", &function)) &&
      went(vm, neap_register(vm, "revoke", revoke_object, NULL)) &&
      run_script(vm, "natives", script) && last_status != NEAP_OK)
    assert_explained(last_status, last_message);
}

static void all_finalized(void) {
  assert_int_equal(finalized, made);
}

/* ====================================================== } */

/* {======================================================
** What another thread ends
** ======================================================= */

static neap_promise *opened[8];
static int nopened, nsettled, cancelled, disposed, to_dispose, worked;

static void on_cancel(void *ud) {
  (void)ud;
  cancelled++;
}

static int promise(neap_frame *frame, void *ud) {
  int status = neap_promise_open(frame, on_cancel, NULL, &opened[nopened]);
  (void)ud;
  nopened += status == NEAP_SUSPENDED;
  return status;
}

/* Thread: the first is resolved, the second rejected, others dropped. */
static void settle(void *ud) {
  (void)ud;
  for (; nsettled < nopened; nsettled++) {
    int i = nsettled, status = NEAP_OK;
    neap_value results[2];
    results[0] = neap_integer(i);
    results[1] = neap_text("a text that somebody else has made, and copies");
    if (i == 0)
      status = neap_resolve(opened[i], results, 2);
    else if (i == 1)
      status = neap_reject(opened[i], "rejected");
    assert_true(status == NEAP_OK || status == NEAP_ECANCELED);
    if (status == NEAP_OK && i < 2)
      assert_int_equal(neap_resolve(opened[i], NULL, 0), NEAP_EALREADY);
    neap_promise_release(opened[i]);
  }
}

static void promises(neap_vm *vm, const void *ud) {
  static const char script[] =
    "local asyncio = require 'asyncio'\n"
    "local cancelled = create_task(promise())\n"
    "local rejected = create_task(promise())\n"
    "local dropped = create_task(promise())\n"
    "local resolved = create_task(promise())\n"
    "await(sleep(0))\n"
    "cancelled:cancel()\n"
    "local t = await(gather{resolved, rejected, dropped,\n"
    "  return_exceptions = true})\n"
    "for i = 1, 3 do\n"
    "  if t[i] == 'not enough memory' then error(t[i], 0) end\n"
    "end";
  neap_value function;
  uv_thread_t thread;
  (void)ud;
  if (!went(vm, neap_register_async(vm, "promise", promise, NULL)) ||
      !load(vm, "promises", script, &function) ||
      !start(vm, &function, NULL, 0, 0, NULL))
    return;
  for (int i = 0; i < 10; i++) { /* some steps fail */
    (void)run_ready(vm);
    assert_int_equal(uv_thread_create(&thread, settle, NULL), 0);
    uv_thread_join(&thread);
    if (i == 5)
      memory_is_back();
  }
  run_loop(vm);
}

/* All of them are the host's again, whatever became of the tasks. */
static void promises_back(void) {
  assert_true(cancelled <= nopened);
  nopened = nsettled = cancelled = 0;
}

static void work(void *ud) { ++*(int *)ud; }

static int after(neap_frame *frame, void *ud) {
  return neap_return(frame, neap_integer(*(int *)ud));
}

static void dispose(void *ud) {
  disposed++;
  free(ud);
}

static int offload(neap_frame *frame, void *ud) {
  int *counter = calloc(1, sizeof *counter);
  (void)ud;
  if (counter == NULL)
    return NEAP_ENOMEM;
  to_dispose++;
  return neap_offload(frame, work, after, dispose, counter);
}

static void offloaded(neap_vm *vm, const void *ud) {
  static const char script[] =
    "local a, b, c = create_task(offload()), create_task(offload()),\n"
    "  create_task(offload())\n"
    "await(sleep(0))\n"
    "c:cancel()\n"
    "assert(await(a) == 1 and await(b) == 1)";
  (void)ud;
  if (went(vm, neap_register_async(vm, "offload", offload, NULL)) &&
      run_script(vm, "offloaded", script) && last_status != NEAP_OK)
    assert_explained(last_status, last_message);
}

static void posted(neap_vm *vm, void *payload) {
  neap_value value = neap_integer(*(int *)payload);
  worked++;
  went(vm, neap_set(vm, "posted", &value));
}

static void all_disposed(void) {
  assert_int_equal(disposed, to_dispose);
  disposed = to_dispose = 0;
}

static neap_port *late; /* outlives the VM */

static int post(neap_port *port) {
  int *payload = calloc(1, sizeof *payload), status;
  if (payload == NULL)
    return NEAP_ENOMEM;
  status = neap_post(port, posted, payload, dispose);
  if (status == NEAP_ENOMEM)
    free(payload);
  else
    to_dispose++;
  return status;
}

static void posts(neap_vm *vm, const void *ud) {
  neap_port *port;
  int n = 0;
  (void)ud;
  if (!went(vm, neap_port_open(vm, &port)))
    return;
  worked = 0;
  for (int i = 0; i < 3; i++) {
    int status = post(port);
    if (status != NEAP_OK)
      assert_explained(status, "post");
    n += status == NEAP_OK;
  }
  run_ready(vm);
  if (mem.failures == 0)
    assert_int_equal(worked, n);
  neap_port_retain(port);
  late = port;
  (void)post(port);
  neap_port_release(port);
}

static void late_posts(void) {
  if (late != NULL) {
    assert_int_equal(post(late), NEAP_ECLOSED);
    neap_port_release(late);
  }
  late = NULL;
  all_disposed();
}

/* ====================================================== } */

/* {======================================================
** Limits; the end
** ======================================================= */

static void tight(neap_config *config) {
  config->limits.memory = (size_t)1 << 20;
  config->limits.deadline = 100;
  config->limits.slice = 0.001;
  config->limits.tasks = 5;
  config->limits.output = 50;
  config->capabilities = NEAP_CAN_FS | NEAP_CAN_LOAD;
#if defined(__SANITIZE_THREAD__)
  config->signal = -1; /* it holds signals back */
#endif
}

static void limits(neap_vm *vm, const void *ud) {
  neap_limits wide = {(size_t)3 << 20, 0, 200, 0.01, 100, 1000};
  neap_statistics stats;
  neap_value function, result;
  neap_task task;
  int status;
  (void)ud;
  if (load(vm, "forever", "while true do pcall(error) end", &function)) {
    status = neap_call(vm, &function, NULL, 0, NULL, 0, 0.002);
    refused(vm, status, NEAP_EDEADLINE);
  }
  if (load(vm, "endless", "while true do end", &function) &&
      start(vm, &function, NULL, 0, 0.002, &task)) {
    run_loop(vm);
    if (ended == 0)
      return;
    assert_false(neap_pending(vm, task));
    if (last_status != NEAP_EDEADLINE)
      assert_explained(last_status, last_message);
  }
  assert_int_equal(neap_limits_set(vm, &wide), NEAP_OK);
  went(vm, neap_drop(vm, NEAP_CAN_FS));
  if (load(vm, "dropped", "return io == nil or not pcall(io.open, 'x')",
           &function) &&
      went(vm, neap_call(vm, &function, NULL, 0, &result, 1, 0)))
    assert_true(result.as.boolean);
  assert_int_equal(neap_stats(vm, &stats), NEAP_OK);
  assert_true(stats.memory > 0 && stats.memory_peak >= stats.memory);
}

/* Closes a VM in which all sorts of things go on. It is another one than the
   VM of the run. */
static void closing(neap_vm *other, const void *ud) {
  static const char script[] =
    "local asyncio = require 'asyncio'\n"
    "for i = 1, 3 do\n"
    "  create_task(async(function()\n"
    "    local _ <close> = setmetatable({}, {__close = error})\n"
    "    await(sleep(100))\n"
    "  end)())\n"
    "end\n"
    "asyncio.call_later(100, print)\n"
    "local group <close> = asyncio.TaskGroup()\n"
    "group:create_task(promise())\n"
    "group:create_task(offload())\n"
    "local lock = asyncio.Lock()\n"
    "await(lock:acquire())\n"
    "group:create_task(lock:acquire())\n"
    "coroutine.wrap(function() coroutine.yield(await(sleep(100))) end)()";
  neap_config config;
  neap_value function;
  neap_port *port;
  neap_vm *vm;
  uv_loop_t *loop = host;
  int status;
  (void)other;
  (void)ud;
  neap_config_init(&config);
  config.alloc = vm_alloc;
  config.module_path = own_modules();
  config.loop = loop;
  status = neap_new(&vm, &config);
  if (status != NEAP_OK) {
    assert_explained(status, "neap_new");
    return;
  }
  if (went(vm, neap_register_async(vm, "promise", promise, NULL)) &&
      went(vm, neap_register_async(vm, "offload", offload, NULL)) &&
      load(vm, "closing", script, &function) &&
      start(vm, &function, NULL, 0, 0, NULL) &&
      start(vm, &function, NULL, 0, 0, NULL))
    run_ready(vm);
  if (went(vm, neap_port_open(vm, &port))) {
    (void)post(port);
    neap_port_release(port);
  }
  assert_int_equal(neap_close(vm, NULL, NULL), NEAP_OK);
  assert_int_equal(ended, started);
  memory_is_back();
  for (int i = 0; i < nopened; i++) {
    assert_int_equal(neap_resolve(opened[i], NULL, 0), NEAP_ECLOSED);
    neap_promise_release(opened[i]);
  }
}

static void all_closed(void) {
  assert_int_equal(cancelled, nopened);
  promises_back();
  all_disposed();
}

/* ====================================================== } */

int main(int argc, char **argv) {
  static run runs[] = {
    {.name = "birth"},
    {.name = "birth with limits", .configure = tight},
    {.name = "birth on the host's loop", .hosted = 1},
    {.name = "values", .body = values},
    {.name = "code", .body = code},
    {.name = "tasks", .body = tasks},
    {.name = "a foreign loop", .body = foreign_loop},
    {.name = "natives", .body = natives, .closed = all_finalized},
    {.name = "natives on the host's loop", .body = natives, .hosted = 1,
     .closed = all_finalized},
    {.name = "promises", .body = promises, .closed = promises_back},
    {.name = "promises on the host's loop", .body = promises, .hosted = 1,
     .closed = promises_back},
    {.name = "offloaded work", .body = offloaded, .closed = all_disposed},
    {.name = "posts", .body = posts, .closed = late_posts},
    {.name = "limits", .body = limits, .configure = tight},
    {.name = "closing", .body = closing, .closed = all_closed},
    {.name = "closing on the host's loop", .body = closing, .hosted = 1,
     .closed = all_closed},
  };
  return torture("calls", runs, sizeof runs / sizeof *runs, argc, argv);
}
