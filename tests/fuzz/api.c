/*
** api.c - fuzz target: the input is a sequence of calls of neap.h, a byte for
** each and for each of its arguments; some are made by native functions,
** callbacks and posts. Values are used in and out of season, as the header
** allows: what holds no longer is found out.
*/
#include "fuzz.h"

#include <math.h>

#define VALUES 8
#define OTHERS 4 /* tasks, ports, promises */
#define DEEPEST 6

static struct {
  const uint8_t *data; /* what is left of the input */
  size_t size;
  int depth; /* of calls inside calls */
  neap_vm *vm;
  neap_value values[VALUES];
  neap_task tasks[OTHERS];
  neap_port *ports[OTHERS];
  neap_promise *promises[OTHERS];
  int objects, payloads, works, done; /* to be given back once each */
} fuzz;

static const char *const scripts[] = {
  "return ...",
  "local f = ... return f",
  "return {...}, function(...) return ... end, 'text', 1, 0.5, true",
  "await(sleep(0)) return ...",
  "await(sleep(0.001))",
  "x = ... y = {z = {x}} print(x)",
  "error(...)",
  "local ok, err = pcall(native, ...) return ok, err",
  "return native(...)",
  "return await(later(...))",
  "create_task(later(...)) create_task(sleep(0))",
  "local t = {} for i = 1, 20 do t[i] = {} end return t",
  "while true do end",
  "local s = 'x' while true do s = s .. s end",
  "local o = ... return o:call(1), o:later(), #o",
  "local _ <close> = setmetatable({}, {__close = native}) await(later())",
  "return coroutine.wrap(function(...) coroutine.yield(native(...)) end)(...)",
  "table.sort({3, 2, 1}, function(a, b) native(a, b) return a < b end)",
  "await(gather(later(), later(), {return_exceptions = true}))",
  "bad syntax",
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* One at a time: compilers differ in the order of arguments. */
static unsigned byte(void) {
  if (fuzz.size == 0)
    return 0;
  fuzz.size--;
  return *fuzz.data++;
}

static neap_value *value(void) { return &fuzz.values[byte() % VALUES]; }

static void step(void);

/* Some steps inside a call, if that is not too deep. */
static void steps(void) {
  if (fuzz.depth >= DEEPEST)
    return;
  fuzz.depth++;
  for (unsigned n = byte() % 4; n > 0; n--)
    step();
  fuzz.depth--;
}

/* {======================================================
** What the VM calls
** ======================================================= */

static void on_done(void *ud, neap_vm *vm, int status,
                    const neap_value *results, int nresults) {
  (void)ud;
  (void)vm;
  assert_true(status == NEAP_OK || nresults == 0);
  if (nresults > 0) {
    neap_value *v = value();
    *v = results[nresults - 1];
  }
  fuzz.done--;
  steps();
}

static void posted(neap_vm *vm, void *payload) {
  assert_ptr_equal(vm, fuzz.vm);
  assert_ptr_equal(payload, &fuzz);
  steps();
}

static void dispose(void *payload) {
  assert_ptr_equal(payload, &fuzz);
  fuzz.payloads--;
}

static void finalize(void *object) {
  assert_ptr_equal(object, &fuzz);
  fuzz.objects--;
}

static void work(void *ud) { (void)ud; }

static void worked(void *ud) {
  (void)ud;
  fuzz.works--;
}

static int native(neap_frame *frame, void *ud);

static const neap_method methods[] = {
  {"call", native, 0}, {"later", native, 1}, {"__len", native, 0}, {NULL, NULL, 0}};
static const neap_class thing_class = {"Thing", methods, finalize};

/* What the next bytes say: arguments, results, an end. */
static int native(neap_frame *frame, void *ud) {
  unsigned end = byte() % 8;
  int status, i = (int)(byte() % 4);
  neap_value *v = value();
  lua_Integer n;
  size_t size;
  const char *text;
  void *object;
  (void)ud;
  *v = neap_arg(frame, i);
  steps();
  switch (byte() % 5) {
  case 0: status = neap_arg_integer(frame, i, &n); break;
  case 1: status = neap_arg_string(frame, i, &text, &size); break;
  case 2: status = neap_arg_object(frame, i, &thing_class, &object); break;
  default: status = neap_return(frame, *v); break;
  }
  if (end < 3 || status != NEAP_OK)
    return status;
  if (end == 3)
    return neap_fail(frame, "%s%u", "failure ", byte());
  if (end == 4)
    return neap_checkpoint(frame);
  if (end == 5) {
    fuzz.works++;
    return neap_offload(frame, work, byte() % 2 ? native : NULL, worked, NULL);
  }
  if (end == 6) {
    neap_promise **promise = &fuzz.promises[byte() % OTHERS];
    if (*promise == NULL)
      return neap_promise_open(frame, NULL, NULL, promise);
  }
  return neap_return(frame, neap_text("end"));
}

/* ====================================================== } */

/* {======================================================
** What calls the VM
** ======================================================= */

static void settle(void) {
  neap_promise **promise = &fuzz.promises[byte() % OTHERS];
  unsigned how = byte() % 3;
  if (*promise == NULL)
    return;
  if (how == 0)
    (void)neap_resolve(*promise, fuzz.values, (int)(byte() % VALUES));
  else if (how == 1)
    (void)neap_reject(*promise, "rejected");
  else {
    neap_promise_release(*promise);
    *promise = NULL;
  }
}

static void use_port(void) {
  neap_port **port = &fuzz.ports[byte() % OTHERS];
  unsigned how = byte() % 8;
  if (*port == NULL)
    (void)neap_port_open(fuzz.vm, port);
  else if (how == 0) {
    neap_port_release(*port);
    *port = NULL;
  }
  else if (how == 1)
    (void)neap_port_kill(*port);
  else {
    fuzz.payloads++;
    if (neap_post(*port, posted, &fuzz, dispose) == NEAP_ENOMEM)
      fuzz.payloads--;
  }
}

static void use_table(void) {
  neap_value *table = value();
  neap_value *key = value();
  neap_value *item = value();
  switch (byte() % 4) {
  case 0: (void)neap_table_new(fuzz.vm, table); break;
  case 1: (void)neap_table_get(fuzz.vm, table, key, item); break;
  case 2: (void)neap_table_set(fuzz.vm, table, key, item); break;
  case 3: (void)neap_table_next(fuzz.vm, table, key, item); break;
  }
}

static void use_object(void) {
  neap_value *object = value();
  switch (byte() % 3) {
  case 0:
    if (neap_object_new(fuzz.vm, &thing_class, &fuzz, object) == NEAP_OK)
      fuzz.objects++;
    break;
  case 1:
    (void)neap_object_get(fuzz.vm, object, &thing_class);
    break;
  case 2:
    (void)neap_revoke(fuzz.vm, object);
    break;
  }
}

static void use_task(void) {
  neap_task *task = &fuzz.tasks[byte() % OTHERS];
  const neap_value *function;
  switch (byte() % 5) {
  case 0: (void)neap_cancel(fuzz.vm, *task, NULL); break;
  case 1: (void)neap_cancel(fuzz.vm, *task, "cancelled"); break;
  case 2: (void)neap_kill(fuzz.vm, *task); break; /* 0: all */
  case 3: (void)neap_pending(fuzz.vm, *task); break;
  default:
    function = value();
    fuzz.done++;
    if (neap_spawn(fuzz.vm, function, fuzz.values, (int)(byte() % VALUES), 0,
                   on_done, NULL, task) != NEAP_OK)
      fuzz.done--;
  }
}

static void make_value(void) {
  static const char *const texts[] = {
    "", "x", "y.z", "native", "more than forty characters: long, for Lua"};
  neap_value *v = value();
  unsigned how = byte() % 6;
  unsigned x = byte();
  switch (how) {
  case 0: *v = neap_nil(); break;
  case 1: *v = neap_integer((int)x - 128); break;
  case 2: *v = neap_number(x == 0 ? NAN : x / 4.0); break;
  case 3: *v = neap_boolean(x % 2); break;
  case 4: *v = neap_text(texts[x % COUNT(texts)]); break;
  case 5: *v = fuzz.values[x % VALUES]; break;
  }
}

static void use_limits(void) {
  neap_limits limits = {1 << 20, 0, 0.02, 0.002, 0, 0};
  neap_statistics stats;
  limits.tasks = byte();
  limits.output = byte();
  (void)neap_limits_set(fuzz.vm, &limits);
  (void)neap_drop(fuzz.vm, byte());
  assert_int_equal(neap_stats(fuzz.vm, &stats), NEAP_OK);
}

/* One call. */
static void step(void) {
  static const char *const paths[] = {"x", "y.z", "native", "a.b.c", "", "y."};
  unsigned what = byte() % 20;
  unsigned x = byte();
  neap_value *v = value();
  char text[100];
  neap_error_info info;
  const char *code;
  int n, nresults;
  switch (what) {
  case 0: case 1:
    code = scripts[x % COUNT(scripts)];
    (void)neap_load(fuzz.vm, "s", code, strlen(code), v);
    break;
  case 2: case 3:
    n = (int)(byte() % VALUES);
    nresults = (int)(byte() % VALUES);
    (void)neap_call(fuzz.vm, v, fuzz.values, n, fuzz.values, nresults,
                    x % 8 ? 0 : 0.001);
    break;
  case 4: case 5: (void)neap_tick(fuzz.vm, x * 4); break;
  case 6: case 7: use_task(); break;
  case 8: (void)neap_get(fuzz.vm, paths[x % COUNT(paths)], v); break;
  case 9: (void)neap_set(fuzz.vm, paths[x % COUNT(paths)], v); break;
  case 10: use_table(); break;
  case 11: use_object(); break;
  case 12: use_port(); break;
  case 13: settle(); break;
  case 14: make_value(); break;
  case 15: (void)neap_retain(fuzz.vm, v); break;
  case 16: (void)neap_release(fuzz.vm, v); break;
  case 17:
    (void)neap_describe(fuzz.vm, v, text, 1 + x % sizeof text);
    neap_error(fuzz.vm, &info);
    assert_non_null(info.message);
    break;
  case 18:
    (void)neap_function_new(fuzz.vm, "f", native, NULL, v);
    (void)neap_backend_timeout(fuzz.vm);
    (void)neap_backend_fd(fuzz.vm);
    break;
  case 19: use_limits(); break;
  }
}

/* ====================================================== } */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  neap_config config;
  memset(&fuzz, 0, sizeof fuzz);
  fuzz.data = data;
  fuzz.size = size;
  plugin_config(&config);
  if (byte() % 2)
    config.signal = -1;
  if (byte() % 2)
    config.limits.slice = 0;
  assert_int_equal(neap_new(&fuzz.vm, &config), NEAP_OK);
  assert_int_equal(neap_register(fuzz.vm, "native", native, NULL), NEAP_OK);
  assert_int_equal(neap_register_async(fuzz.vm, "later", native, NULL),
                   NEAP_OK);
  while (fuzz.size > 0)
    step();
  fuzz.depth = DEEPEST; /* callbacks of neap_close call nothing more */
  assert_int_equal(neap_close(fuzz.vm, NULL, NULL), NEAP_OK);
  for (int i = 0; i < OTHERS; i++) {
    if (fuzz.promises[i] != NULL) {
      assert_int_not_equal(neap_resolve(fuzz.promises[i], NULL, 0), NEAP_OK);
      neap_promise_release(fuzz.promises[i]);
    }
    if (fuzz.ports[i] != NULL) {
      assert_int_equal(neap_port_kill(fuzz.ports[i]), NEAP_ECLOSED);
      neap_port_release(fuzz.ports[i]);
    }
  }
  assert_int_equal(fuzz.done, 0);
  assert_int_equal(fuzz.objects, 0);
  assert_int_equal(fuzz.payloads, 0);
  assert_int_equal(fuzz.works, 0);
  return 0;
}
