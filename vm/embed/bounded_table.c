/*
** bounded_table.c - the functions of table for a sandbox. Results and errors
** are Lua's, but:
** - insert, remove, move and concat go through at most as many elements as
**   the table can have: a __len may say anything, and so may the # of a table
**   with a few well-chosen keys.
** - sort sorts in Lua (lua/bounded.lua), where the hooks of the limits see
**   it, and comparators can await; but for small tables, for which Lua's own
**   takes less than a slice.
** Lua's own unpack ends with an error before its results are too many.
*/
#include <limits.h>

#include <lualib.h>

#include "../lua/bindings.h"
#include "embed.h"

#define UNCHECKED 100000 /* elements that any table may seem to have */
#define INTERVAL 1024    /* elements between checkpoints */
#define SMALL 1000       /* elements, and bytes of each, for Lua's own sort */

/* What a value needs in its metatable to pass for a table. */
static const char *const readable[] = {"__index", "__len", NULL};
static const char *const changeable[] = {"__index", "__newindex", "__len",
                                         NULL};
static const char *const source[] = {"__index", NULL};
static const char *const target[] = {"__newindex", NULL};

static void check_table(lua_State *L, int arg, const char *const *needs) {
  if (lua_istable(L, arg))
    return;
  for (; *needs != NULL; needs++) {
    if (luaL_getmetafield(L, arg, *needs) == LUA_TNIL)
      luaL_checktype(L, arg, LUA_TTABLE); /* raises the error */
    lua_pop(L, 1);
  }
}

/* After element i of many. */
static inline void tick(lua_State *L, lua_Integer i) {
  if (i % INTERVAL == 0)
    neap__checkpoint(L);
}

static lua_Integer length(lua_State *L, const char *const *needs) {
  check_table(L, 1, needs);
  return luaL_len(L, 1);
}

/* Raises an error when the table at index 1 holds not even half of so many
   values, which are about to be gone through. */
static void check_count(lua_State *L, lua_Unsigned count) {
  lua_Unsigned held = 0;
  if (count <= UNCHECKED)
    return;
  if (lua_istable(L, 1)) {
    lua_pushnil(L);
    while (lua_next(L, 1)) {
      lua_pop(L, 1);
      tick(L, (lua_Integer)held);
      if (++held >= count / 2) {
        lua_pop(L, 1);
        return;
      }
    }
  }
  luaL_error(L, "table too long (%I elements, and it holds %I)",
             (LUAI_UACINT)count, (LUAI_UACINT)held);
}

/* table[to] = table[from], where the tables are at these indices. */
static void copy(lua_State *L, int from_table, lua_Integer from, int to_table,
                 lua_Integer to) {
  lua_geti(L, from_table, from);
  lua_seti(L, to_table, to);
  tick(L, to);
}

/* Lua: table.insert(t, [place,] value) */
static int insert(lua_State *L) {
  lua_Integer end = (lua_Integer)((lua_Unsigned)length(L, changeable) + 1);
  lua_Integer place = end;
  int n = lua_gettop(L);
  if (n == 3) {
    place = luaL_checkinteger(L, 2);
    luaL_argcheck(L, (lua_Unsigned)place - 1 < (lua_Unsigned)end, 2,
                  "position out of bounds");
    check_count(L, (lua_Unsigned)end - (lua_Unsigned)place);
    for (; end > place; end--)
      copy(L, 1, end - 1, 1, end);
  }
  else if (n != 2)
    return luaL_error(L, "wrong number of arguments to 'insert'");
  lua_seti(L, 1, place);
  return 0;
}

/* Lua: table.remove(t [, place]) */
static int take(lua_State *L) {
  lua_Integer size = length(L, changeable);
  lua_Integer place = luaL_optinteger(L, 2, size);
  if (place != size) {
    luaL_argcheck(L, (lua_Unsigned)place - 1 <= (lua_Unsigned)size, 1,
                  "position out of bounds");
    if (place < size)
      check_count(L, (lua_Unsigned)size - (lua_Unsigned)place);
  }
  lua_geti(L, 1, place);
  for (; place < size; place++)
    copy(L, 1, place + 1, 1, place);
  lua_pushnil(L);
  lua_seti(L, 1, place);
  return 1;
}

/* Lua: table.move(t, first, last, to [, other]) */
static int move(lua_State *L) {
  lua_Integer first = luaL_checkinteger(L, 2);
  lua_Integer last = luaL_checkinteger(L, 3);
  lua_Integer to = luaL_checkinteger(L, 4);
  int other = lua_isnoneornil(L, 5) ? 1 : 5;
  check_table(L, 1, source);
  check_table(L, other, target);
  if (first <= last) {
    lua_Integer count, i;
    luaL_argcheck(L, first > 0 || last < LUA_MAXINTEGER + first, 3,
                  "too many elements to move");
    count = last - first + 1;
    luaL_argcheck(L, to <= LUA_MAXINTEGER - count + 1, 4,
                  "destination wrap around");
    check_count(L, (lua_Unsigned)count);
    if (to > last || to <= first ||
        (other != 1 && !lua_compare(L, 1, other, LUA_OPEQ)))
      for (i = 0; i < count; i++)
        copy(L, 1, first + i, other, to + i);
    else /* what is overwritten has been copied before */
      for (i = count; i-- > 0;)
        copy(L, 1, first + i, other, to + i);
  }
  lua_pushvalue(L, other);
  return 1;
}

/* Lua: table.concat(t [, separator [, first [, last]]]) */
static int concat(lua_State *L) {
  lua_Integer size = length(L, readable), i, last;
  size_t separator_size;
  const char *separator = luaL_optlstring(L, 2, "", &separator_size);
  luaL_Buffer b;
  i = luaL_optinteger(L, 3, 1);
  last = luaL_optinteger(L, 4, size);
  if (i <= last)
    check_count(L, (lua_Unsigned)last - (lua_Unsigned)i);
  luaL_buffinit(L, &b);
  for (; i <= last; i++) {
    lua_geti(L, 1, i);
    if (!lua_isstring(L, -1))
      return luaL_error(L,
                        "invalid value (%s) at index %I in table for 'concat'",
                        luaL_typename(L, -1), (LUAI_UACINT)i);
    luaL_addvalue(&b);
    if (i == last) /* it may be the largest integer */
      break;
    luaL_addlstring(&b, separator, separator_size);
    tick(L, i);
  }
  luaL_pushresult(&b);
  return 1;
}

/* {======================================================
** sort
** ======================================================= */

enum { STOCK = 1, SORT }; /* upvalues: Lua's own sort; ours in Lua, or nil */

/* Whether the first n elements of the table at index 1 are soon sorted, with
   no metamethod called. */
static int is_small(lua_State *L, lua_Integer n) {
  int small = n <= SMALL && lua_istable(L, 1) && !lua_getmetatable(L, 1);
  for (; small && n > 0; n--) {
    int type = lua_rawgeti(L, 1, n);
    small = type == LUA_TNUMBER ||
            (type == LUA_TSTRING && lua_rawlen(L, -1) <= SMALL);
    lua_pop(L, 1);
  }
  return small;
}

/* Lua: a < b; in C, where the error of two values that have no order comes
   without a position, as from Lua's own sort. */
static int less(lua_State *L) {
  lua_pushboolean(L, lua_compare(L, 1, 2, LUA_OPLT));
  return 1;
}

/* Pushes the sort in Lua, compiled when it is first needed. */
static void push_sort(lua_State *L) {
  if (lua_isnil(L, lua_upvalueindex(SORT))) {
    if (luaL_loadbufferx(L, neap__lua_bounded, neap__lua_bounded_size,
                         "=[neap]", "t") != LUA_OK)
      lua_error(L);
    lua_pushcfunction(L, neap__error);
    lua_call(L, 1, 1);
    lua_replace(L, lua_upvalueindex(SORT));
  }
  lua_pushvalue(L, lua_upvalueindex(SORT));
}

static int sorted(lua_State *L, int status, lua_KContext context) {
  (void)L;
  (void)status;
  (void)context;
  return 0;
}

/* Lua: table.sort(t [, less]) */
static int sort(lua_State *L) {
  lua_Integer n = length(L, changeable);
  int ordered = !lua_isnoneornil(L, 2);
  if (n <= 1)
    return 0;
  luaL_argcheck(L, n < INT_MAX, 1, "array too big");
  if (ordered)
    luaL_checktype(L, 2, LUA_TFUNCTION);
  else if (is_small(L, n))
    return lua_tocfunction(L, lua_upvalueindex(STOCK))(L);
  check_count(L, (lua_Unsigned)n);
  push_sort(L);
  lua_pushvalue(L, 1);
  lua_pushinteger(L, n);
  if (ordered)
    lua_pushvalue(L, 2);
  else
    lua_pushcfunction(L, less);
  lua_callk(L, 3, 0, 0, sorted);
  return 0;
}

/* ====================================================== } */

void neap__bounded_table_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"insert", insert},
                                       {"remove", take},
                                       {"move", move},
                                       {"concat", concat},
                                       {NULL, NULL}};
  lua_getglobal(L, LUA_TABLIBNAME);
  luaL_setfuncs(L, functions, 0);
  lua_getfield(L, -1, "sort");
  lua_pushnil(L);
  lua_pushcclosure(L, sort, SORT);
  lua_setfield(L, -2, "sort");
  lua_pop(L, 1);
}
