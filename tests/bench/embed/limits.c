/*
** limits.c - what limits cost code that never reaches them. The second
** argument says which code, and "+limits" behind it that they are set:
** memory, deadline and slice. Prints ms of processor time.
*/
#include "host.h"

/* Each gets a count and runs in a task. */
static const struct {
  const char *name, *code;
} scripts[] = {
  {"fib", "local n = ... "
          "local function fib(k) "
          "  if k < 2 then return k end "
          "  return fib(k - 1) + fib(k - 2) "
          "end "
          "for _ = 1, n do assert(fib(20) == 6765) end"},
  {"loops", "local n = ... "
            "for _ = 1, n do "
            "  local t, x = {}, 0.5 "
            "  for i = 1, 10000 do t[i] = i % 7 end "
            "  for i = 1, 10000 do x = x + t[i] * 0.5 end "
            "  assert(x > 0) "
            "end"},
  {"strings", "local n = ... "
              "for i = 1, n do "
              "  local parts = {} "
              "  for j = 1, 1000 do parts[j] = 'item ' .. j .. ';' end "
              "  local text = table.concat(parts) "
              "  local _, count = text:gsub('item', string.upper) "
              "  assert(count == 1000 and #text == 8893) "
              "end"},
};

static void ended(void *ud, neap_vm *vm, int status, const neap_value *results,
                  int nresults) {
  (void)ud;
  (void)results;
  (void)nresults;
  check(vm, status);
}

int main(int argc, char **argv) {
  int n = count_argument(argc, argv);
  const char *which = argc > 2 ? argv[2] : "";
  size_t len = strcspn(which, "+"), i = 0;
  neap_config config;
  neap_value function, count = neap_integer(n);
  neap_vm *vm;
  double start;
  while (strncmp(scripts[i].name, which, len) != 0)
    if (++i == sizeof scripts / sizeof *scripts)
      fail("there is no such script");
  neap_config_init(&config);
  if (strcmp(which + len, "+limits") == 0)
    limit(&config);
  vm = open_vm(&config);
  function = load(vm, scripts[i].code);
  start = clock_now();
  check(vm, neap_spawn(vm, &function, &count, 1, 0, ended, NULL, NULL));
  check(vm, neap_run(vm));
  printf("%.3f\n", (clock_now() - start) * 1e3);
  close_vm(vm);
  return 0;
}
