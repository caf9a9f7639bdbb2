/*
** torture.h - fails every allocation of a run in turn: the memory, and the
** loop around what is run.
**
** A run is a function that uses a VM. It is repeated on a fresh VM with the
** first request of memory refused, then the second, and so on (or each
** `step`-th of them) until none is reached: what it does may fail, but only
** for want of memory; and then, with memory back, the VM works, ends all
** that was begun, and gives everything back.
**
** Requests are those of the VM to its allocator, and those of the library to
** malloc on the VM's thread (the linker's --wrap).
*/
#ifndef TORTURE_H
#define TORTURE_H

#include "../capi/capi.h"

#include <poll.h>

/* A shortened run refuses each so many-th request; more when a sanitizer
   makes all slower. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STEP 61
#else
#define STEP 23
#endif

/* {======================================================
** Memory
** ======================================================= */

/* Of the thread that runs the VM; others always get what they ask for. The
   blocks are those of the VM's allocator. */
static _Thread_local heap mem = {0, -1, 0, 0};

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *block, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *block, size_t size);

void *__wrap_malloc(size_t size) {
  return heap_refuses(&mem) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size) {
  return heap_refuses(&mem) ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *block, size_t size) {
  return heap_refuses(&mem) ? NULL : __real_realloc(block, size);
}

/* A lua_Alloc; not heap_alloc, whose realloc would be refused here. */
static void *vm_alloc(void *ud, void *block, size_t old_size, size_t size) {
  void *result;
  (void)ud;
  if (size == 0) {
    mem.blocks -= block != NULL;
    free(block);
    return NULL;
  }
  /* Lua relies on a block that shrinks: only growth can fail */
  if ((block == NULL || size > old_size) && heap_refuses(&mem))
    return NULL;
  result = __real_realloc(block, size);
  if (result != NULL)
    mem.blocks += block == NULL;
  return result;
}

/* ====================================================== } */

/* Nothing fails any more. */
static void memory_is_back(void) { mem.countdown = -1; }

/* {======================================================
** What a run does
** ======================================================= */

typedef struct run {
  char name[80];
  void (*body)(neap_vm *vm, const void *ud); /* NULL: birth is the run */
  const void *ud;
  void (*configure)(neap_config *config); /* NULL: as it is */
  void (*closed)(void);   /* checks what was counted; NULL: nothing */
  int hosted;             /* the loop is the host's */
} run;

static long first, step;    /* which requests are refused */
static uv_loop_t *host;     /* the host's loop, or NULL */
static int started, ended;  /* tasks with `on_done` */
static int last_status;     /* of the one that ended last, */
static char last_message[1024]; /* with what neap_error says */

/* What fails does so for want of memory. */
static void assert_explained(int status, const char *message) {
  if (mem.failures == 0)
    fail_msg("%d: %s", status, message);
  if (status != NEAP_ENOMEM) {
    assert_int_equal(status, NEAP_ESCRIPT);
    /* so Lua calls it when a stack cannot grow; or no memory for the text */
    if (strstr(message, "stack overflow") == NULL &&
        strncmp(message, neap_strerror(status), 20) != 0)
      assert_contains(message, "not enough memory");
  }
}

/* Whether a function did what it was asked for. */
static int went(neap_vm *vm, int status) {
  neap_error_info info;
  if (status >= 0)
    return 1;
  neap_error(vm, &info);
  assert_int_equal(info.code, status);
  assert_explained(status, info.message);
  return 0;
}

/* For what has to fail with `code`. */
static inline void refused(neap_vm *vm, int status, int code) {
  if (status != code && went(vm, status))
    fail_msg("it gave %d instead of %d", status, code);
}

static void on_done(void *ud, neap_vm *vm, int status,
                    const neap_value *results, int nresults) {
  (void)ud;
  assert_true(nresults == 0 || (results != NULL && status == NEAP_OK));
  ended++;
  last_status = status;
  last_message[0] = '\0';
  if (status != NEAP_OK) {
    neap_error_info info;
    neap_error(vm, &info);
    assert_int_equal(info.code, status);
    snprintf(last_message, sizeof last_message, "%s\n%s", info.message,
             info.traceback);
  }
}

static inline int load(neap_vm *vm, const char *name, const char *text,
                neap_value *function) {
  return went(vm, neap_load(vm, name, text, strlen(text), function));
}

/* Starts a task that `on_done` counts. */
static inline int start(neap_vm *vm, const neap_value *function,
                 const neap_value *args, int nargs, double deadline,
                 neap_task *task) {
  int status =
      neap_spawn(vm, function, args, nargs, deadline, on_done, NULL, task);
  started += status == NEAP_OK;
  return went(vm, status);
}

/* What can be done without waiting. Returns whether all is well. */
static int run_ready(neap_vm *vm) {
  int status;
  do {
    if (host != NULL)
      uv_run(host, UV_RUN_NOWAIT);
    status = host != NULL ? neap_backend_timeout(vm) == 0 : neap_tick(vm, 1000);
  } while (status == 1);
  return went(vm, status);
}

/*
** Runs the loop until all tasks with `on_done` have ended. Those that wait for
** one that had no memory may do so for ever, or for the hours that it would
** sleep: nothing that goes well takes a second. Where a socket is open, that
** is only where no memory came back while they ran.
*/
static void run_loop(neap_vm *vm) {
  while (run_ready(vm) && ended < started) {
    struct pollfd readable = {-1, POLLIN, 0};
    int ms;
    readable.fd = host != NULL ? uv_backend_fd(host) : neap_backend_fd(vm);
    ms = host != NULL ? uv_backend_timeout(host) : neap_backend_timeout(vm);
    if (ms > 1000 || (ms < 0 && !neap_alive(vm))) {
      assert_true(mem.failures > 0);
      return;
    }
    if (readable.fd >= 0 && /* or no memory for it now */
        poll(&readable, 1, ms < 0 ? 1000 : ms) == 0 && ms < 0) {
      assert_int_equal(mem.in_a_row, 0);
      return;
    }
  }
}

/* Runs a script as a task. Returns whether it came to its end, with `status`. */
static inline int run_script(neap_vm *vm, const char *name, const char *text) {
  neap_value function;
  int before = ended;
  if (!load(vm, name, text, &function) || !start(vm, &function, NULL, 0, 0, NULL))
    return 0;
  run_loop(vm);
  return ended > before;
}

/* ====================================================== } */

/* {======================================================
** The loop around it
** ======================================================= */

/* Uses some of everything. */
static const char usual[] =
  "local json = require 'json'\n"
  "local asyncio = require 'asyncio'\n"
  "local work = async(function(x) await(sleep(0)) return x end)\n"
  "local t = await(gather(work(1), create_task(work(2))))\n"
  "assert(t[1] == 1 and t[2] == 2)\n"
  "local queue, lock = asyncio.Queue(1), asyncio.Lock()\n"
  "local putter = create_task(queue:put('item'))\n"
  "assert(await(queue:get()) == 'item')\n"
  "await(putter)\n"
  "do local guard <close> = await(lock:acquire()) end\n"
  "assert(not lock:locked())\n"
  "local ok, err = asyncio.catch(await, asyncio.wait_for(sleep(9), 0))\n"
  "assert(not ok and asyncio.isinstance(err, asyncio.TimeoutError))\n"
  "assert(json.encode(json.decode '[1,{\"a\":[]}]') == '[1,{\"a\":[]}]')\n"
  "for _, x in ipairs {1, 'a', {}} do assert(not pcall(error, x)) end\n";

/* With memory back, the VM works. */
static void assert_works(neap_vm *vm) {
  neap_value function, sum, args[2];
  args[0] = neap_integer(2);
  args[1] = neap_integer(3);
  assert_true(load(vm, "add", "local a, b = ... return a + b", &function));
  assert_int_equal(neap_call(vm, &function, args, 2, &sum, 1, 0), NEAP_OK);
  assert_true(sum.type == NEAP_INTEGER && sum.as.integer == 5);
  assert_true(run_script(vm, "usual", usual));
  if (last_status != NEAP_OK)
    fail_msg("afterwards: %d: %s", last_status, last_message);
}

static void on_closed(void *ud) { *(int *)ud = 1; }

/* The run with its request `n` refused. Returns whether there was one. */
static int run_once(const run *r, int in_a_row, long n) {
  reports said = {0, ""};
  neap_config config;
  uv_loop_t loop;
  neap_vm *vm;
  int status, closed = 0;
  assert_int_equal(uv_loop_init(&loop), 0);
  host = r->hosted ? &loop : NULL;
  started = ended = 0;
  neap_config_init(&config);
  config.alloc = vm_alloc;
  config.report = reports_add;
  config.report_ud = &said;
  config.module_path = own_modules();
  config.loop = host;
  if (r->configure != NULL)
    r->configure(&config);
  mem = (heap){0, r->body == NULL ? n : -1, in_a_row, 0};
  status = neap_new(&vm, &config);
  if (status == NEAP_OK) {
    if (r->body != NULL) {
      mem.countdown = n;
      r->body(vm, r->ud);
    }
    memory_is_back();
    assert_works(vm);
    assert_int_equal(neap_close(vm, on_closed, &closed), NEAP_OK);
  }
  memory_is_back();
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&loop), 0);
  if (status != NEAP_OK)
    assert_explained(status, "neap_new");
  assert_int_equal(closed, status == NEAP_OK);
  assert_int_equal(ended, started);
  assert_int_equal(mem.blocks, 0);
  if (r->closed != NULL)
    r->closed();
  return mem.failures > 0;
}

static long refusing; /* the request that this run refuses; -1: all passed */

/* A test: `in_a_row` requests fail, at each place in turn. */
static void fail_in_turn(const run *r, int in_a_row) {
  for (refusing = first; run_once(r, in_a_row, refusing); refusing += step)
    ;
  assert_true(refusing > first);
  refusing = -1;
}

static int tell_where(void **state) {
  (void)state;
  if (refusing >= 0)
    print_message("# refused: request %ld\n", refusing);
  return 0;
}

/* Lua collects garbage and asks again. */
static void fails_once(void **state) { fail_in_turn(*state, 1); }

/* Lua raises an error. */
static void fails_twice(void **state) { fail_in_turn(*state, 2); }

static void fails_from_there(void **state) { fail_in_turn(*state, 0); }

static const struct {
  const char *name;
  CMUnitTestFunction test;
} modes[] = {
  {"a single failure", fails_once},
  {"two failures in a row", fails_twice},
  {"no memory from there on", fails_from_there},
};

#define MODES (sizeof modes / sizeof *modes)

/*
** All runs, each as a test for each mode. Arguments of the program: the step
** (1: each request is refused), a pattern for the names of the tests, and the
** first request.
*/
static inline int torture(const char *group, run *runs, size_t n, int argc,
                          char **argv) {
  struct CMUnitTest *tests = calloc(n * MODES, sizeof *tests);
  char(*names)[128] = calloc(n * MODES, sizeof *names);
  int failed;
  if (tests == NULL || names == NULL)
    return 1;
  step = argc > 1 ? atol(argv[1]) : STEP;
  if (argc > 2)
    cmocka_set_test_filter(argv[2]);
  first = argc > 3 ? atol(argv[3]) : 0;
  for (size_t i = 0; i < n * MODES; i++) {
    run *r = &runs[i / MODES];
    snprintf(names[i], sizeof *names, "%.79s, %s", r->name,
             modes[i % MODES].name);
    tests[i] = (struct CMUnitTest){names[i], modes[i % MODES].test, NULL,
                                   tell_where, r};
  }
  failed = _cmocka_run_group_tests(group, tests, n * MODES, NULL, NULL);
  free(names);
  free(tests);
  return failed;
}
/* ====================================================== } */

#endif
