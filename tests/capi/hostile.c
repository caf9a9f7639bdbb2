/*
** hostile.c - runs the plugins of tests/hostile (its README.md tells what
** stands in their heads), each in a sandbox with limits, beside a neighbour
** that behaves well, on one loop.
**
** Of each plugin the test checks that it comes to the end which its head
** tells; that all which came of it ends, too; that its VM serves again, or
** says why not; that nothing of it is left when that is closed; and that the
** neighbour had its turns all the while. For the latter the test counts the
** CPU time of the thread, so that a busy machine is no failure.
**
** `hostile NAME...` runs these plugins only (* and ? match) and tells what it
** has measured.
*/
#include <dirent.h>
#include <fnmatch.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "capi.h"

#define FOLDER "tests/hostile"
#define DEADLINE 0.3      /* seconds of each call that may come to it, */
#define FAR 20            /* and of others; unless the head says more */
#define LONGEST_STOP 0.25 /* seconds of the CPU without a neighbour's turn */
#define HANGS 60          /* seconds; then a test is not waited for */

static int telling;          /* what was measured */
static const char *on_trial; /* for the alarm */

static double seconds_of(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* {======================================================
** The plugin's head
** ======================================================= */

typedef struct script {
  char *text;
  size_t size;
  char name[80];
  char outcome[200];      /* "EDEADLINE", "ended", "error TEXT"; or several */
  char after[200];        /* the same of its function `after` */
  unsigned capabilities;
  double deadline;        /* of each call */
  int by_call;            /* neap_call instead of neap_spawn */
} script;

/* Copies what stands behind "-- KEY: " in the head; false: no such line. */
static int head_get(const char *text, const char *key, char *value,
                    size_t size) {
  char line[80];
  const char *at;
  size_t len;
  snprintf(line, sizeof line, "-- %s: ", key);
  at = strstr(text, line);
  *value = '\0';
  if (at == NULL)
    return 0;
  at += strlen(line);
  len = strcspn(at, "\n");
  assert_true(len < size);
  memcpy(value, at, len);
  value[len] = '\0';
  return 1;
}

/* Reads the plugin; false: it is not run in this way. */
static int script_read(script *s, const char *name, int by_call) {
  char path[300], value[80];
  long size;
  FILE *f;
  memset(s, 0, sizeof *s);
  snprintf(s->name, sizeof s->name, "%s%s", name, by_call ? ", called" : "");
  s->by_call = by_call;
  snprintf(path, sizeof path, FOLDER "/%s.lua", name);
  f = fopen(path, "rb");
  assert_non_null(f);
  fseek(f, 0, SEEK_END);
  size = ftell(f);
  rewind(f);
  s->text = malloc((size_t)size + 1);
  assert_non_null(s->text);
  s->size = fread(s->text, 1, (size_t)size, f);
  s->text[s->size] = '\0';
  fclose(f);
  assert_true(head_get(s->text, "class", value, sizeof value));
  if (!head_get(s->text, by_call ? "call" : "outcome", s->outcome,
                sizeof s->outcome)) {
    free(s->text);
    return 0;
  }
  (void)head_get(s->text, "after", s->after, sizeof s->after);
  if (head_get(s->text, "capabilities", value, sizeof value)) {
    assert_string_equal(value, "load");
    s->capabilities = NEAP_CAN_LOAD;
  }
  s->deadline = strstr(s->outcome, "EDEADLINE") != NULL ? DEADLINE : FAR;
  if (head_get(s->text, "deadline", value, sizeof value))
    s->deadline = atof(value);
  return 1;
}

/* Whether the outcome is one of those expected, "A or B"; an error may have
   more text. */
static int is_expected(const char *outcomes, const char *outcome) {
  while (*outcomes != '\0') {
    const char *end = strstr(outcomes, " or ");
    int len = end != NULL ? (int)(end - outcomes) : (int)strlen(outcomes);
    char one[200];
    snprintf(one, sizeof one, "%.*s", len, outcomes);
    if (strcmp(outcome, one) == 0)
      return 1;
    if (strncmp(one, "error", 5) == 0 && strncmp(outcome, "error", 5) == 0 &&
        strstr(outcome + 5, one[5] == ' ' ? one + 6 : "") != NULL)
      return 1;
    outcomes += end != NULL ? len + 4 : len;
  }
  return 0;
}

/* Writes what has become of a call, as in a head. */
static void tell_outcome(neap_vm *vm, int status, char *text, size_t size) {
  neap_error_info info;
  const char *name = NULL;
  neap_error(vm, &info);
#define NAME(n, value, t) if (status == (value)) name = #n;
  NEAP_ERROR_MAP(NAME)
#undef NAME
  if (status == NEAP_OK)
    snprintf(text, size, "ended");
  else if (status == NEAP_ESCRIPT)
    snprintf(text, size, "error %s", info.message);
  else
    snprintf(text, size, "%s", name);
}

/* ====================================================== } */

/* {======================================================
** The neighbour
** ======================================================= */

typedef struct neighbour {
  neap_vm *vm;
  heap memory;
  int stop;
  long turns;
  double last;    /* CPU time of its last turn */
  double longest; /* between two of them */
} neighbour;

/* Lua: turn() -> whether to go on */
static int turn(neap_frame *frame, void *ud) {
  neighbour *n = ud;
  double now = seconds_of(CLOCK_THREAD_CPUTIME_ID);
  if (n->turns++ > 0 && now - n->last > n->longest)
    n->longest = now - n->last;
  n->last = now;
  return neap_return(frame, neap_boolean(!n->stop));
}

static void neighbour_open(neighbour *n, uv_loop_t *loop) {
  neap_config config;
  neap_value f;
  memset(n, 0, sizeof *n);
  n->memory.countdown = -1;
  neap_config_init(&config);
  config.loop = loop;
  config.alloc = heap_alloc;
  config.alloc_ud = &n->memory;
  n->vm = new_vm(&config);
  assert_int_equal(neap_register(n->vm, "turn", turn, n), NEAP_OK);
  f = load_text(n->vm, "test", "while turn() do await(sleep(0.001)) end");
  assert_int_equal(neap_spawn(n->vm, &f, NULL, 0, 0, NULL, NULL, NULL),
                   NEAP_OK);
}

/* Runs the loop until it had so many turns more. */
static void neighbour_goes_on(neighbour *n, uv_loop_t *loop, long turns) {
  long until = n->turns + turns;
  while (n->turns < until)
    assert_int_not_equal(uv_run(loop, UV_RUN_ONCE), 0);
}

/* ====================================================== } */

/* {======================================================
** The plugin
** ======================================================= */

typedef struct plugin {
  neap_vm *vm;
  heap memory;
  size_t output;
  size_t reported;
  int done;
  int closed;
  char outcome[400];
} plugin;

static void hear(void *ud, const char *text, size_t len) {
  plugin *p = ud;
  assert_true(text != NULL && len > 0);
  p->reported += len;
}

static void print_(void *ud, const char *text, size_t len) {
  plugin *p = ud;
  assert_true(len > 0 && text[len - 1] == '\n');
  p->output += len;
}

static void ended(void *ud, neap_vm *vm, int status, const neap_value *results,
                  int nresults) {
  plugin *p = ud;
  (void)results;
  (void)nresults;
  assert_false(p->done);
  tell_outcome(vm, status, p->outcome, sizeof p->outcome);
  p->done = 1;
}

/* Lua: host.call(f [, deadline]) -> its first result */
static int host_call(neap_frame *frame, void *ud) {
  neap_value f = neap_arg(frame, 1), result;
  double deadline = 0;
  int status = NEAP_OK;
  (void)ud;
  if (neap_arg_count(frame) > 1)
    status = neap_arg_number(frame, 2, &deadline);
  if (status == NEAP_OK)
    status = neap_call(neap_frame_vm(frame), &f, NULL, 0, &result, 1, deadline);
  return status == NEAP_OK ? neap_return(frame, result) : status;
}

static void closed(void *ud) { ((plugin *)ud)->closed = 1; }

static void plugin_open(plugin *p, uv_loop_t *loop, const script *s) {
  neap_config config;
  memset(p, 0, sizeof *p);
  p->memory.countdown = -1;
  neap_config_init(&config);
  config.capabilities = s->capabilities;
  config.module_path = own_modules();
  config.loop = loop;
  config.alloc = heap_alloc;
  config.alloc_ud = &p->memory;
  config.report = hear;
  config.report_ud = p;
  config.output = print_;
  config.output_ud = p;
  config.limits.memory = 8 << 20;
  config.limits.deadline = s->deadline;
  config.limits.slice = 0.005;
  config.limits.tasks = 1000;
  config.limits.output = 64 << 10;
  p->vm = new_vm(&config);
  assert_int_equal(neap_register(p->vm, "host.call", host_call, NULL), NEAP_OK);
}

/* Runs the script to its end. */
static void plugin_run(plugin *p, uv_loop_t *loop, const script *s) {
  neap_value f;
  int status = neap_load(p->vm, "plugin", s->text, s->size, &f);
  assert_int_equal(status, NEAP_OK);
  if (s->by_call)
    ended(p, p->vm, neap_call(p->vm, &f, NULL, 0, NULL, 0, 0), NULL, 0);
  else
    assert_int_equal(neap_spawn(p->vm, &f, NULL, 0, 0, ended, p, NULL),
                     NEAP_OK);
  while (!p->done)
    assert_int_not_equal(uv_run(loop, UV_RUN_ONCE), 0);
}

/* What it has started ends, at the deadline at the latest. */
static size_t tasks_left(plugin *p, uv_loop_t *loop) {
  double until = seconds_of(CLOCK_MONOTONIC) + 10 * DEADLINE;
  neap_statistics stats;
  do {
    assert_int_not_equal(uv_run(loop, UV_RUN_ONCE), 0);
    assert_int_equal(neap_stats(p->vm, &stats), NEAP_OK);
  } while (stats.tasks > 0 && seconds_of(CLOCK_MONOTONIC) < until);
  return stats.tasks;
}

/* Its VM serves again, but after the kill that ends it. */
static void plugin_serves(plugin *p, const script *s) {
  int killed = strcmp(p->outcome, "EMEMORY") == 0, status;
  char outcome[400];
  neap_value f = load_text(p->vm, "test", "return 1 + 1"), result;
  status = neap_call(p->vm, &f, NULL, 0, &result, 1, 0);
  assert_int_equal(status, killed ? NEAP_EMEMORY : NEAP_OK);
  assert_true(killed || result.as.integer == 2);
  if (*s->after == '\0' || killed)
    return;
  f = load_text(p->vm, "test", "return after()");
  status = neap_call(p->vm, &f, NULL, 0, NULL, 0, 0);
  tell_outcome(p->vm, status, outcome, sizeof outcome);
  if (!is_expected(s->after, outcome))
    fail_msg("after it: %s; expected: %s", outcome, s->after);
}

/* ====================================================== } */

static void hangs(int number) {
  static const char text[] = " hangs\n";
  (void)number;
  (void)!write(1, on_trial, strlen(on_trial));
  (void)!write(1, text, sizeof text - 1);
  abort();
}

static void trial(void **state) {
  const script *s = *state;
  plugin p;
  neighbour n;
  uv_loop_t loop;
  double cpu;
  long turns;
  on_trial = s->name;
  alarm(HANGS);
  assert_int_equal(uv_loop_init(&loop), 0);
  neighbour_open(&n, &loop);
  neighbour_goes_on(&n, &loop, 3);
  plugin_open(&p, &loop, s);
  cpu = seconds_of(CLOCK_THREAD_CPUTIME_ID);
  turns = n.turns;
  n.longest = 0;
  plugin_run(&p, &loop, s);
  cpu = seconds_of(CLOCK_THREAD_CPUTIME_ID) - cpu;
  turns = n.turns - turns;
  neighbour_goes_on(&n, &loop, 3);
  if (telling)
    print_message("%s: %s; %.3f s of the CPU, the neighbour had %ld turns, "
                  "at most %.3f s apart; %zu bytes reported\n",
                  s->name, p.outcome, cpu, turns, n.longest, p.reported);
  if (!is_expected(s->outcome, p.outcome))
    fail_msg("outcome: %s; expected: %s", p.outcome, s->outcome);
  assert_int_equal(tasks_left(&p, &loop), 0);
  assert_true(p.output <= 64 << 10);
  if (n.longest > LONGEST_STOP)
    fail_msg("the neighbour had no turn for %.3f s", n.longest);
  plugin_serves(&p, s);
  assert_int_equal(neap_close(p.vm, closed, &p), NEAP_OK);
  while (!p.closed)
    assert_int_not_equal(uv_run(&loop, UV_RUN_ONCE), 0);
  assert_int_equal(p.memory.blocks, 0);
  neighbour_goes_on(&n, &loop, 3);
  n.stop = 1;
  assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
  assert_int_equal(neap_close(n.vm, NULL, NULL), NEAP_OK);
  close_loop(&loop);
  assert_int_equal(n.memory.blocks, 0);
  alarm(0);
}

/* Whether it is a plugin, and one of those asked for. */
static int is_chosen(const char *name, int argc, char **argv) {
  int i;
  for (i = 1; i < argc; i++) {
    if (fnmatch(argv[i], name, 0) == 0)
      return 1;
  }
  return argc == 1;
}

static int only_lua(const struct dirent *entry) {
  return fnmatch("*.lua", entry->d_name, 0) == 0;
}

int main(int argc, char **argv) {
  struct dirent **entries;
  int n = scandir(FOLDER, &entries, only_lua, alphasort), i, failures;
  size_t count = 0;
  script *scripts;
  struct CMUnitTest *tests;
  if (n <= 0) {
    fprintf(stderr, "no plugins in " FOLDER "\n");
    return 1;
  }
  scripts = calloc(2 * (size_t)n, sizeof *scripts);
  tests = calloc(2 * (size_t)n, sizeof *tests);
  assert_non_null(scripts);
  assert_non_null(tests);
  signal(SIGALRM, hangs);
  telling = argc > 1;
  for (i = 0; i < n; i++) {
    char *name = entries[i]->d_name;
    int runs = 0;
    *strrchr(name, '.') = '\0';
    if (!is_chosen(name, argc, argv))
      continue;
    for (int by_call = 0; by_call <= 1; by_call++) {
      if (!script_read(&scripts[count], name, by_call))
        continue;
      tests[count].name = scripts[count].name;
      tests[count].test_func = trial;
      tests[count].initial_state = &scripts[count];
      count++;
      runs++;
    }
    if (runs == 0)
      fail_msg("%s: how is it to end?", name);
  }
  failures = _cmocka_run_group_tests("hostile", tests, count, NULL, NULL);
  for (i = 0; i < n; i++)
    free(entries[i]);
  while (count > 0)
    free(scripts[--count].text);
  free(entries);
  free(scripts);
  free(tests);
  return failures;
}
