/*
** bounded.c - tests the functions of string and table that a sandbox has: they
** do what Lua's own do, and none of them runs long, whatever it is given.
**
** The VM here is no sandbox, so that Lua's own are there to compare with:
** `stock` has them.
*/
#include "threads.h"

#include "../../vm/embed/embed.h"

#define RANDOM_CALLS 1000 /* of each kind */

/* Lua: a kill of the VM is asked for, as by another thread; no hook is set. */
static int request_kill(lua_State *L) {
  atomic_store(&neap__vm(L)->kill_requested, 1);
  return 0;
}

static neap_vm *bounded_vm(void) {
  neap_vm *vm = new_vm(NULL);
  lua_State *L = neap_lua(vm);
  run_lua(vm, "stock = {string = {}, table = {}}\n"
              "for name, copy in pairs(stock) do\n"
              "  for k, f in pairs(_G[name]) do copy[k] = f end\n"
              "end\n"
              "-- the error of f(...), which has to raise one\n"
              "function failure(f, ...)\n"
              "  local ok, message = pcall(f, ...)\n"
              "  assert(not ok, 'no error')\n"
              "  return message\n"
              "end\n");
  lua_register(L, "request_kill", request_kill);
  neap__bounded_string_open(L);
  neap__bounded_table_open(L);
  assert_int_equal(lua_gettop(L), 0);
  return vm;
}

/* Runs chunks that have to succeed. */
static void run_bounded(const char *const *chunks, size_t n) {
  neap_vm *vm = bounded_vm();
  size_t i;
  for (i = 0; i < n; i++)
    run_lua(vm, chunks[i]);
  close_vm(vm);
}

#define RUN(...) \
  do { \
    static const char *const chunks[] = {__VA_ARGS__}; \
    run_bounded(chunks, sizeof chunks / sizeof *chunks); \
  } while (0)

static void random_calls_do_as_luas_own(void **state) {
  lua_Integer seed = (lua_Integer)first_seed();
  neap_vm *vm = bounded_vm();
  lua_State *L = neap_lua(vm);
  (void)state;
  if (luaL_loadfile(L, "tests/support/bounded_random.lua") != LUA_OK)
    fail_msg("%s", lua_tostring(L, -1));
  lua_getglobal(L, "stock");
  lua_pushinteger(L, seed);
  lua_pushinteger(L, RANDOM_CALLS);
  if (lua_pcall(L, 3, 0, 0) != LUA_OK)
    fail_msg("%s", luaL_tolstring(L, -1, NULL));
  close_vm(vm);
}

/* {======================================================
** string
** ======================================================= */

static void a_match_has_a_limit_of_steps(void **state) {
  (void)state;
  RUN("local steps = 'pattern matching takes too many steps'\n"
      "function endless(s, p, ...)\n"
      "  assert(failure(string.find, s, p, ...) == steps)\n"
      "  assert(failure(string.match, s, p, ...) == steps)\n"
      "  assert(failure(string.gmatch(s, p, ...)) == steps)\n"
      "  assert(failure(string.gsub, s, p, '') == steps)\n"
      "end\n",
      "endless(('a'):rep(30), ('a?'):rep(30) .. ('a'):rep(30))",
      "endless(('a'):rep(30000), '.-.-b')",
      "endless(('a'):rep(30000), '.*.*b')",
      "endless(('a'):rep(3000), '(a*)%1b', 1)",
      "endless(('x'):rep(50000), '(.-)%1%1%1y')",
      "endless(('('):rep(30000), '%b()')",
      /* what a set takes is in proportion to its length */
      "local s, set = ('a'):rep(5000), '[' .. ('b'):rep(5000) .. ']'\n"
      "endless(s, '[^' .. set:sub(2) .. '*c')\n"
      "endless(s, '[^' .. set:sub(2) .. '-c')\n"
      "endless(s, set)\n"
      "endless(s, '%f' .. set)\n",
      /* so is what a back reference compares */
      "assert(not pcall(string.find, ('a'):rep(60000), '^(.-)%1b'))",
      /* the error has the position of the caller */
      "local ok, message = pcall(function()\n"
      "  return ('a'):rep(30):find(('a?'):rep(30) .. ('a'):rep(30))\n"
      "end)\n"
      "assert(message:find('^%[string .*%]:2: pattern matching takes'))");
}

static void the_limit_of_steps_grows_with_the_strings(void **state) {
  (void)state;
  RUN(/* about n * n steps */
      "local function lazy(n) return ('a'):rep(n):find('.-b') end\n"
      "assert(lazy(700) == nil)\n"
      "assert(not pcall(lazy, 2000))\n",
      /* for each call of an iterator anew: about 700 * 700, five times */
      "local n, unit = 0, ('a'):rep(700) .. 'cbb'\n"
      "for _ in unit:rep(5):gmatch('a*bb') do n = n + 1 end\n"
      "assert(n == 5 and not pcall(string.gsub, unit:rep(5), 'a*bb', ''))",
      "local s = ('some words and, numbers 12345. '):rep(340000)\n"
      "assert(#s > 10 * 1000 * 1000)\n"
      "local t, n = s:gsub('%s*[%a_][%w_]*', '<%0>')\n"
      "assert(n == 4 * 340000 and #t == #s + 2 * n)\n"
      "assert(#s:gsub('^%s*(.-)%s*$', '%1') == #s - 1)\n"
      "assert(select(2, s:sub(1, 1000000):gsub('.', {a = 'A'})) == 1000000)\n");
}

static void the_items_of_a_replacement_are_steps(void **state) {
  (void)state;
  RUN("local s = ('x'):rep(100000)\n"
      "assert(failure(string.gsub, s, '(y*)', ('%1'):rep(100000)) ==\n"
      "       'pattern matching takes too many steps')");
}

static void a_plain_search_is_linear(void **state) {
  (void)state;
  RUN("local half = ('a'):rep(1000000)\n"
      "local s = half .. half .. 'b' .. half\n"
      "assert(s:find(half .. 'b' .. half, 1, true) == 1000001)\n"
      "assert(s:find(half .. 'c', 1, true) == nil)\n"
      "assert(s:find('', 5, true) == 5 and s:find('b') == 2000001)\n");
}

static void many_copies_of_nothing_are_nothing(void **state) {
  (void)state;
  RUN("assert((''):rep(1 << 60) == '' and (''):rep(1 << 60, '') == '')\n"
      "assert(('x'):rep(-1) == '' and ('x'):rep(0, 'y') == '')\n",
      "for _, n in ipairs {1 << 31, 1 << 60, math.maxinteger} do\n"
      "  assert(failure(string.rep, 'x', n) == 'resulting string too large')\n"
      "  assert(failure(string.rep, '', n, 'x') ==\n"
      "         'resulting string too large')\n"
      "end",
      /* copied in blocks of 2^20 bytes */
      "for _, n in ipairs {1, 2, 3, 1000, (1 << 20) - 1, 1 << 20, 1500000} do\n"
      "  for _, s in ipairs {'a', 'abc', ('abcdefg'):rep(10)} do\n"
      "    n = n // #s\n"
      "    assert(s:rep(n) == stock.string.rep(s, n))\n"
      "    assert(s:rep(n, '--') == stock.string.rep(s, n, '--'))\n"
      "  end\n"
      "end");
}

static void format_goes_through_two_gigabytes_at_most(void **state) {
  (void)state;
  RUN("local args = {}\n"
      "for i = 1, 5000 do args[i] = ('x'):rep(1000000) break end\n"
      "for i = 2, 5000 do args[i] = args[1] end\n"
      "assert(failure(string.format, ('%.1s'):rep(5000),\n"
      "               table.unpack(args)) == 'resulting string too large')\n"
      "assert(#string.format(('%.1s'):rep(1000), table.unpack(args)) == 1000)");
}

static void pack_makes_no_long_strings_of_nothing(void **state) {
  (void)state;
  RUN("local function refused(format, ...)\n"
      "  assert(failure(string.pack, format, ...):find(\n"
      "    'format result too large', 1, true))\n"
      "end\n"
      "refused('c2000000000', '')\n"
      "refused(('c9999999'):rep(2), '', '')\n"
      "refused('c18446744073709551617', '')\n" /* 2^64 + 1 */
      "assert(#('c9999999'):pack('') == 9999999)");
}

static void there_is_no_dump(void **state) {
  (void)state;
  RUN("assert(string.dump == nil and (''):len() == 0)");
}

/* ====================================================== } */

/* {======================================================
** table
** ======================================================= */

static void a_length_that_lies_is_an_error(void **state) {
  (void)state;
  RUN("function refused(t)\n"
      "  local function check(f, ...)\n"
      "    assert(failure(f, ...):find('^table too long'))\n"
      "  end\n"
      "  check(table.insert, t, 1, 1)\n"
      "  check(table.remove, t, 1)\n"
      "  check(table.concat, t)\n"
      "  check(table.move, t, 1, 1 << 60, 2)\n"
      "  check(table.move, t, 1, 1 << 60, 1, {})\n"
      "end\n"
      "local function lying(index)\n"
      "  return setmetatable({}, {__len = function() return 1 << 60 end,\n"
      "                           __index = index})\n"
      "end\n"
      "refused(lying())\n"
      "refused(lying(function() return '' end))\n"
      "refused(lying(rawequal))\n"
      /* the # of an honest table lies just as well */
      "local sparse = {[math.maxinteger] = 1}\n"
      "for i = 62, 0, -1 do sparse[1 << i] = 1 end\n"
      "sparse[math.maxinteger] = nil\n"
      "assert(#sparse >= 1 << 60)\n"
      "refused(sparse)\n",
      "local t = setmetatable({}, {__len = function() return 1 << 30 end})\n"
      "assert(failure(table.sort, t):find('^table too long'))\n"
      "assert(failure(table.sort, t, math.ult):find('^table too long'))\n"
      "assert(failure(table.unpack, t) == 'too many results to unpack')\n"
      "t = setmetatable({}, {__len = function() return 1 << 31 end})\n"
      "assert(failure(table.sort, t):find('array too big', 1, true))",
      /* it is asked once */
      "local n = 0\n"
      "local class = {__len = function()\n"
      "  n = n + 1\n"
      "  return n > 1 and 1 << 60 or 2\n"
      "end}\n"
      "local calls = {sort = {}, concat = {}, remove = {1}, insert = {1, 1}}\n"
      "for name, arguments in pairs(calls) do\n"
      "  n = 0\n"
      "  table[name](setmetatable({1, 2}, class), table.unpack(arguments))\n"
      "  assert(n == 1)\n"
      "end");
}

static void long_tables_are_as_in_lua(void **state) {
  (void)state;
  RUN("local t, n = {}, 300000\n"
      "for i = 1, n do t[i] = i end\n"
      "table.insert(t, 1, 0)\n"
      "assert(#t == n + 1 and t[1] == 0 and t[n + 1] == n)\n"
      "assert(table.remove(t, 1) == 0 and #t == n and t[n] == n)\n"
      "assert(table.concat(t, ',') == stock.table.concat(t, ','))\n"
      "local u = table.move(t, 1, n, 3, {})\n"
      "assert(u[3] == 1 and u[n + 2] == n)\n"
      "assert(#table.move(t, 1, 2 * n, 1, {}) == n)\n"
      /* nothing of an object but its elements, if they are not too many */
      "local object = setmetatable({}, {__index = t,\n"
      "                                 __len = function() return 99999 end})\n"
      "assert(table.concat(object) == table.concat(t, '', 1, 99999))\n");
}

/* ====================================================== } */

/* {======================================================
** sort
** ======================================================= */

static void long_tables_are_sorted(void **state) {
  (void)state;
  RUN("local function sorted(t, less)\n"
      "  less = less or function(a, b) return a < b end\n"
      "  for i = 2, #t do assert(not less(t[i], t[i - 1])) end\n"
      "end\n"
      "local makers = {\n"
      "  function() return math.random(1 << 40) end,\n"
      "  function() return math.random(3) end,\n"
      "  function() return math.random() end,\n"
      "  function(i) return i end,\n"
      "  function(i) return -i end,\n"
      "  function(i) return i & 511 end,\n"
      "  function() return 7 end,\n"
      "}\n"
      "for _, n in ipairs {1001, 2048, 5000} do\n"
      "  for _, make in ipairs(makers) do\n"
      "    local t = {}\n"
      "    for i = 1, n do t[i] = make(i) end\n"
      "    table.sort(t)\n"
      "    sorted(t)\n"
      "    table.sort(t, function(a, b) return a > b end)\n"
      "    sorted(t, function(a, b) return a > b end)\n"
      "    for i = 1, n do t[i] = ('s'):rep(1 + i % 3) .. t[i] end\n"
      "    table.sort(t)\n"
      "    sorted(t)\n"
      "  end\n"
      "end",
      /* values with an order of their own */
      "local class = {__lt = function(a, b) return a.n < b.n end}\n"
      "local t = {}\n"
      "for i = 1, 50 do t[i] = setmetatable({n = i * 37 % 50}, class) end\n"
      "table.sort(t)\n"
      "for i = 1, 50 do assert(t[i].n == i - 1) end");
}

/* An order that is made up to be as bad for quicksort as it can. */
static void no_order_takes_a_sort_long(void **state) {
  (void)state;
  RUN("local n, gas, compared, solid, candidate = 20000, math.huge, 0, 0, 0\n"
      "local value, t = {}, {}\n"
      "for i = 1, n do t[i], value[i] = i, gas end\n"
      "local function adversary(a, b)\n"
      "  compared = compared + 1\n"
      "  if value[a] == gas and value[b] == gas then\n"
      "    value[a == candidate and a or b] = solid\n"
      "    solid = solid + 1\n"
      "  end\n"
      "  if value[a] == gas then candidate = a\n"
      "  elseif value[b] == gas then candidate = b end\n"
      "  return value[a] < value[b]\n"
      "end\n"
      "table.sort(t, adversary)\n"
      "for i = 2, n do assert(value[t[i - 1]] <= value[t[i]]) end\n"
      "assert(compared < 5 * n * math.log(n, 2))\n",
      /* nor one that is none */
      "local n = 0\n"
      "local function chance() n = n + 1 return math.random(2) == 1 end\n"
      "local t = {}\n"
      "for i = 1, 10000 do t[i] = i end\n"
      "pcall(table.sort, t, chance)\n"
      "assert(n < 5 * 10000 * math.log(10000, 2))\n"
      "local sum = 0\n"
      "for i = 1, 10000 do sum = sum + t[i] end\n"
      "assert(#t == 10000)");
}

static void errors_of_a_long_sort_are_luas(void **state) {
  (void)state;
  RUN("local t, n = {}, 3000\n"
      "for i = 1, n do t[i] = i end\n"
      "local function same(...)\n"
      "  assert(failure(table.sort, ...) == failure(stock.table.sort, ...))\n"
      "end\n"
      "same(t, function() return true end)\n"
      "same(t, function() error('no order', 0) end)\n"
      "t[n // 2] = 'text'\n"
      "same(t)\n"
      "for i = 1, n do t[i] = {} end\n"
      "same(t)\n",
      /* at the same comparison, in any part of the table */
      "for limit = 1, 600 do\n"
      "  local function outcome(sort)\n"
      "    local n, t = 0, {}\n"
      "    for i = 1, 90 do t[i] = i * 37 % 91 end\n"
      "    local _, message = pcall(function()\n"
      "      sort(t, function(a, b) n = n + 1 return n > limit or a < b end)\n"
      "    end)\n"
      "    return tostring(message) .. table.concat(t, ',')\n"
      "  end\n"
      "  assert(outcome(table.sort) == outcome(stock.table.sort))\n"
      "end",
      /* with the position of who has called sort */
      "local t = {}\n"
      "for i = 1, 3000 do t[i] = i end\n"
      "local message = failure(function()\n"
      "  table.sort(t, function() return true end)\n"
      "end)\n"
      "assert(message == '[string \"local t = {}...\"]:4: '..\n"
      "       'invalid order function for sorting', message)\n");
}

static void a_comparator_can_await(void **state) {
  (void)state;
  RUN("local turns = 0\n"
      "local main = async(function()\n"
      "  local other = create_task(async(function()\n"
      "    while true do turns = turns + 1 await(sleep(0)) end\n"
      "  end)())\n"
      "  local t = {5, 3, 8, 1, 9, 2}\n"
      "  table.sort(t, function(a, b) await(sleep(0)) return a < b end)\n"
      "  assert(table.concat(t) == '123589')\n"
      "  other:cancel()\n"
      "end)\n"
      "run(main())\n"
      "assert(turns > 6)");
}

static int hooked;

static void count_hook(lua_State *L, lua_Debug *ar) {
  (void)L;
  (void)ar;
  hooked++;
}

/* How often a hook is called, of one in 100 instructions of the code. */
static int hooks(neap_vm *vm, const char *code) {
  lua_State *L = neap_lua(vm);
  hooked = 0;
  if (luaL_loadstring(L, code) != LUA_OK)
    fail_msg("%s", lua_tostring(L, -1));
  lua_sethook(L, count_hook, LUA_MASKCOUNT, 100);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK)
    fail_msg("%s", lua_tostring(L, -1));
  lua_sethook(L, NULL, 0, 0);
  return hooked;
}

static void hooks_reach_a_sort_that_takes_its_time(void **state) {
  neap_vm *vm = bounded_vm();
  (void)state;
  run_lua(vm, "t, long, object = {}, {}, setmetatable({}, {})\n"
              "for i = 1, 2000 do t[i] = 2000 - i end\n"
              "for i = 1, 200 do long[i] = ('x'):rep(5000) .. i % 7 end\n"
              "for i = 1, 200 do object[i] = -i end\n"
              "small = table.move(t, 1, 500, 1, {})");
  assert_true(hooks(vm, "table.sort(t)") > 1000);
  assert_true(hooks(vm, "table.sort(long)") > 100);
  assert_true(hooks(vm, "table.sort(object)") > 100);
  assert_true(hooks(vm, "table.sort(small)") < 3);
  close_vm(vm);
}

/* ====================================================== } */

/* No hook is there to see the request: it is the function itself. */
static void a_kill_reaches_what_goes_on_in_c(void **state) {
  static const char *const calls[] = {
      "('a'):rep(500):find('.-b')",
      "('a'):rep(500):match('.-b')",
      "('a'):rep(500):gmatch('.-b')()",
      "('a'):rep(5000):gsub('a', 'b')",
      "('a'):rep(500):gsub('a', rawlen)",
      "('a'):rep(500):gsub('a', setmetatable({}, {__index = rawequal}))",
      "('a'):rep(1 << 22)",
      "('%s'):format(setmetatable({}, {__name = 'thing'}))",
      "table.insert(list, 1, 0)",
      "table.remove(list, 1)",
      "table.concat(list)",
      "table.move(list, 1, #list, 2)",
      "table.move(list, 1, #list, 2, {})",
      "table.move(list, 1, 1 << 60, 2)",
  };
  size_t i;
  (void)state;
  for (i = 0; i < sizeof calls / sizeof *calls; i++) {
    neap_vm *vm = bounded_vm();
    lua_State *L = neap_lua(vm);
    run_lua(vm, "list = {}\n"
                "for i = 1, 5000 do list[i] = 'x' end");
    lua_pushfstring(L, "request_kill() local x = %s finished = true",
                    calls[i]);
    run_lua_failing(vm, lua_tostring(L, 1));
    lua_getglobal(L, "finished"); /* functions of neap.h are killed, too */
    if (vm->killed != NEAP_EKILLED || !lua_isnil(L, -1))
      fail_msg("goes on: %s", calls[i]);
    close_vm(vm);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(random_calls_do_as_luas_own),
    cmocka_unit_test(a_match_has_a_limit_of_steps),
    cmocka_unit_test(the_limit_of_steps_grows_with_the_strings),
    cmocka_unit_test(the_items_of_a_replacement_are_steps),
    cmocka_unit_test(a_plain_search_is_linear),
    cmocka_unit_test(many_copies_of_nothing_are_nothing),
    cmocka_unit_test(format_goes_through_two_gigabytes_at_most),
    cmocka_unit_test(pack_makes_no_long_strings_of_nothing),
    cmocka_unit_test(there_is_no_dump),
    cmocka_unit_test(a_length_that_lies_is_an_error),
    cmocka_unit_test(long_tables_are_as_in_lua),
    cmocka_unit_test(long_tables_are_sorted),
    cmocka_unit_test(no_order_takes_a_sort_long),
    cmocka_unit_test(errors_of_a_long_sort_are_luas),
    cmocka_unit_test(a_comparator_can_await),
    cmocka_unit_test(hooks_reach_a_sort_that_takes_its_time),
    cmocka_unit_test(a_kill_reaches_what_goes_on_in_c),
  };
  return cmocka_run_group_tests_name("bounded", tests, NULL, NULL);
}
