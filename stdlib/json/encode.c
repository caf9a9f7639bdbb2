/*
** encode.c - json.encode and json.is_array: Lua values into a text of JSON.
**
** Nothing recurses, and no Lua code is called: writer.h tells what is on
** Lua's stack, and why any call here may raise an error.
*/
#include "writer.h"

#include <stdlib.h>

#define INDENT_MOST 100 /* spaces a level */


/*
** {======================================================
** Tables
** =======================================================
*/

/*
** Whether the table at `index` is to be an array: it is marked so, or it has
** no mark and a length. `*marked`: it is marked, as one or the other.
*/
static int arraylike(lua_State *L, int index, int *marked) {
  *marked = 0;
  if (lua_getmetatable(L, index)) {
    int array = lua_rawequal(L, -1, JSON_ARRAY);
    *marked = array || lua_rawequal(L, -1, JSON_OBJECT);
    lua_pop(L, 1);
    if (*marked)
      return array;
  }
  return lua_rawlen(L, index) > 0;
}


/*
** Whether the keys of the table are not 1 to n exactly. Then pushes one that
** it has and should not, or the first that it has not.
*/
static int oddkey(lua_State *L, int table, lua_Integer n) {
  lua_Integer count = 0;
  lua_pushnil(L);
  while (lua_next(L, table)) {
    lua_pop(L, 1);
    if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 1 ||
        lua_tointeger(L, -1) > n)
      return 1;
    count++;
  }
  if (count == n)
    return 0;
  for (count = 1; lua_rawgeti(L, table, count) != LUA_TNIL; count++)
    lua_pop(L, 1);
  lua_pushinteger(L, count);
  return 1;
}


/* json.is_array(value) -> boolean: would it be written as an array? */
int json_is_array(lua_State *L) {
  int marked;
  luaL_checkany(L, 1);
  lua_pushboolean(L, lua_istable(L, 1) && arraylike(L, 1, &marked) &&
    (marked || !oddkey(L, 1, (lua_Integer)lua_rawlen(L, 1))));
  return 1;
}


/* An array whose keys do not come in order: has it the right ones? */
static void checkarray(writer *w, level *f) {
  lua_State *L = w->L;
  f->kind = INDEXED;
  f->n = (lua_Integer)lua_rawlen(L, f->slot);
  if (oddkey(L, f->slot, f->n)) {
    int missing = lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 1 &&
                  lua_tointeger(L, -1) <= f->n;
    json_fail(w, w->depth - 1, lua_gettop(L),
         missing
           ? "a hole in an array"
           : "an array of %I elements has no such key", f->n);
  }
}


static void badkey(writer *w, const char *why) {
  json_fail(w, w->depth - 1, lua_gettop(w->L), why, 0);
}


static int compare(const void *a, const void *b) {
  const entry *x = a, *y = b;
  int order = memcmp(x->key, y->key, x->len < y->len ? x->len : y->len);
  return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}


static void sort(entry *list, size_t n) {
  if (n > 16) {
    qsort(list, n, sizeof(entry), compare);
    return;
  }
  for (size_t i = 1; i < n; i++) { /* by insertion */
    entry e = list[i];
    size_t j = i;
    for (; j > 0 && compare(&list[j - 1], &e) > 0; j--)
      list[j] = list[j - 1];
    list[j] = e;
  }
}


/* Puts all keys and values of an object on the stack, and sorts the keys. */
static void sortkeys(writer *w, level *f) {
  lua_State *L = w->L;
  lua_pushnil(L);
  while (lua_next(L, f->slot)) {
    entry *e;
    if (lua_type(L, -2) != LUA_TSTRING) {
      lua_pop(L, 1);
      badkey(w, "the key of an object must be a string");
    }
    if (!lua_checkstack(L, LUA_MINSTACK)) {
      lua_settop(L, f->slot);
      json_fail(w, w->depth - 1, 0,
           "too many keys to sort; see the option sort_keys", 0);
    }
    if ((w->entries + 1) * sizeof(entry) > w->in_use[ENTRIES].size)
      json_grow(w, ENTRIES, 0);
    e = ENTRY(w, w->entries++);
    e->slot = lua_gettop(L) - 1;
    e->key = lua_tolstring(L, e->slot, &e->len);
    f->n++;
    lua_pushvalue(L, -2);
  }
  sort(ENTRY(w, f->entries), (size_t)f->n);
}


/* Begins the table on the top of the stack. */
static void opentable(writer *w) {
  lua_State *L = w->L;
  int marked;
  level *f;
  if (w->depth >= w->max_depth)
    json_toodeep(w);
  luaL_checkstack(L, LUA_MINSTACK, "too deep");
  if ((size_t)(w->depth + 1) * sizeof(level) > w->in_use[LEVELS].size)
    json_grow(w, LEVELS, 0);
  f = LEVEL(w, w->depth++);
  *f = (level){.slot = lua_gettop(L), .entries = w->entries};
  f->kind = arraylike(L, -1, &marked) ? ARRAY : w->sort ? SORTED : OBJECT;
  addchar(w, f->kind == ARRAY ? '[' : '{');
  if (f->kind == SORTED)
    sortkeys(w, f);
  else
    lua_pushnil(L); /* the key before the first */
}


static void newline(writer *w, int depth) {
  if (w->indent >= 0) {
    size_t n = (size_t)w->indent * (size_t)depth;
    char *out = room(w, n + 1);
    *out = '\n';
    memset(out + 1, ' ', n);
    w->len += n + 1;
  }
}


/*
** Pushes the next child of the innermost table, and writes all that comes
** before it; returns 0 if there is none.
*/
static int nextchild(writer *w) {
  lua_State *L = w->L;
  level *f = LEVEL(w, w->depth - 1);
  const char *key = NULL;
  size_t len = 0;
  switch (f->kind) {
    case OBJECT:
      if (!lua_next(L, f->slot))
        return 0;
      if (lua_type(L, -2) != LUA_TSTRING) {
        lua_pop(L, 1);
        badkey(w, "the key of an object must be a string");
      }
      key = lua_tolstring(L, -2, &len);
      break;
    case SORTED: {
      entry *e;
      if (f->i == f->n)
        return 0;
      e = ENTRY(w, f->entries + (size_t)f->i);
      key = e->key;
      len = e->len;
      lua_pushvalue(L, e->slot + 1);
      break;
    }
    case ARRAY:
      if (!lua_next(L, f->slot))
        return 0;
      if (lua_isinteger(L, -2) && lua_tointeger(L, -2) == f->i + 1)
        break;
      lua_pop(L, 2);
      checkarray(w, f);
      /* fallthrough */
    case INDEXED:
      if (f->i == f->n)
        return 0;
      lua_rawgeti(L, f->slot, f->i + 1);
  }
  if (f->i++ > 0)
    addchar(w, ',');
  newline(w, w->depth);
  if (key != NULL) {
    if (!json_addstring(w, key, len)) {
      json_pushkey(w, f);
      badkey(w, "a key that is not UTF-8");
    }
    addbytes(w, ": ", w->indent < 0 ? 1 : 2);
  }
  return 1;
}


static void closetable(writer *w) {
  level *f = LEVEL(w, --w->depth);
  if (f->i > 0)
    newline(w, w->depth);
  addchar(w, f->kind == ARRAY || f->kind == INDEXED ? ']' : '}');
  w->entries = f->entries;
  lua_settop(w->L, f->slot - 1);
}

/* }====================================================== */


/* Writes the value on the top of the stack and pops it, or opens it. */
static void writevalue(writer *w) {
  lua_State *L = w->L;
  size_t len;
  const char *s;
  switch (lua_type(L, -1)) {
    case LUA_TTABLE:
      opentable(w);
      return;
    case LUA_TSTRING:
      s = lua_tolstring(L, -1, &len);
      if (!json_addstring(w, s, len))
        json_fail(w, w->depth, 0, "a string that is not UTF-8", 0);
      break;
    case LUA_TNUMBER:
      json_addnumber(w);
      break;
    case LUA_TBOOLEAN:
      if (lua_toboolean(L, -1))
        addbytes(w, "true", 4);
      else
        addbytes(w, "false", 5);
      break;
    default:
      if (lua_touserdata(L, -1) != w->null || lua_isnil(L, -1)) {
        lua_pushfstring(L, "JSON has no %s", luaL_typename(L, -1));
        json_fail(w, w->depth, 0, lua_tostring(L, -1), 0);
      }
      addbytes(w, "null", 4);
  }
  lua_pop(L, 1);
}


/* json.encode(value [, options]) -> text */
int json_encode(lua_State *L) {
  static const char *const names[] = {"indent", "max_depth", "sort_keys",
                                      NULL};
  writer w;
  lua_Number n;
  unsigned steps = 0;
  luaL_checkany(L, VALUE);
  json_checkoptions(L, OPTIONS, names);
  lua_settop(L, OWNER);
  w.L = L;
  n = json_numberoption(L, OPTIONS, "max_depth", JSON_MAX_DEPTH);
  w.max_depth = n < JSON_DEEPEST ? (int)n : JSON_DEEPEST;
  n = json_numberoption(L, OPTIONS, "indent", -1);
  w.indent = n < INDENT_MOST ? (int)n : INDENT_MOST;
  w.sort = json_booleanoption(L, OPTIONS, "sort_keys", 1);
  w.null = lua_touserdata(L, JSON_NULL);
  w.in_use[OUT] = (block){w.out, sizeof w.out};
  w.in_use[LEVELS] = (block){w.levels, sizeof w.levels};
  w.in_use[ENTRIES] = (block){w.first, sizeof w.first};
  w.owned = NULL;
  w.len = w.entries = 0;
  w.depth = 0;
  lua_pushvalue(L, VALUE);
  writevalue(&w);
  while (w.depth > 0) {
    if (nextchild(&w))
      writevalue(&w);
    else
      closetable(&w);
    if (++steps % JSON_STEPS == 0)
      json_checkpoint(L);
  }
  lua_pushlstring(L, w.in_use[OUT].data, w.len);
  return 1;
}
