/*
** bounded_string.c - the functions of string for a sandbox: none of them can
** take long. Results and errors are Lua's.
**
** Replaced are those that take longer than it takes to read their arguments
** and write their results: find, match, gmatch, gsub (pattern.c), rep, format
** and pack. There is no dump, since there is no way to load what it gives.
*/
#define _GNU_SOURCE /* for memmem */
#include <ctype.h>
#include <limits.h>
#include <string.h>

#include <lualib.h>

#include "embed.h"
#include "pattern.h"

#define CALL 32                   /* steps of a replacement: it may be code */
#define BLOCK ((size_t)1 << 20)   /* bytes that rep copies at once */
#define LONGEST ((size_t)1 << 24) /* fixed-size strings that pack makes */

/* {======================================================
** find, match, gmatch
** ======================================================= */

/* The offset where a search begins, from the argument `arg`: 1 is the first
   byte, -1 the last. More than `size` when that is behind the end. */
static size_t start(lua_State *L, int arg, size_t size) {
  lua_Integer i = luaL_optinteger(L, arg, 1);
  if (i > 0)
    return (size_t)i - 1;
  return i == 0 || i < -(lua_Integer)size ? 0 : size + (size_t)i;
}

/* Whether the pattern is a text that matches itself. */
static int is_plain(const char *p, size_t size) {
  static const char special[] = "^$*+?.([%-";
  while (size > 0 && memchr(special, *p, sizeof special - 1) == NULL) {
    p++;
    size--;
  }
  return size == 0;
}

static int find_text(lua_State *L, const char *s, size_t size, size_t from,
                     const char *text, size_t text_size) {
  const char *at = s + from;
  if (text_size > 0) /* memmem takes its time to begin */
    at = memchr(at, *text, size - from);
  if (at != NULL)
    at = memmem(at, size - (size_t)(at - s), text, text_size);
  if (at == NULL) {
    luaL_pushfail(L);
    return 1;
  }
  lua_pushinteger(L, at - s + 1);
  lua_pushinteger(L, at - s + (lua_Integer)text_size);
  return 2;
}

static int search(lua_State *L, int find) {
  size_t size, pattern_size;
  const char *s = luaL_checklstring(L, 1, &size);
  const char *p = luaL_checklstring(L, 2, &pattern_size);
  size_t from = start(L, 3, size);
  int anchor = *p == '^';
  neap__pattern m;
  if (from > size) {
    luaL_pushfail(L);
    return 1;
  }
  if (find && (lua_toboolean(L, 4) || is_plain(p, pattern_size)))
    return find_text(L, s, size, from, p, pattern_size);
  neap__pattern_init(&m, s, size, p + anchor, pattern_size - anchor);
  neap__pattern_start(&m, L);
  s += from;
  do {
    const char *e = neap__pattern_match(&m, s);
    if (e == NULL)
      continue;
    if (!find)
      return neap__pattern_push_all(&m, s, e);
    lua_pushinteger(L, s - m.subject + 1);
    lua_pushinteger(L, e - m.subject);
    return 2 + neap__pattern_push_all(&m, NULL, NULL);
  } while (!anchor && s++ < m.end);
  luaL_pushfail(L);
  return 1;
}

/* Lua: string.find(s, pattern [, init [, plain]]) */
static int find(lua_State *L) { return search(L, 1); }

/* Lua: string.match(s, pattern [, init]) */
static int find_match(lua_State *L) { return search(L, 0); }

typedef struct iterator {
  neap__pattern m;
  const char *next; /* where the next match may begin */
  const char *last; /* where the last one has ended; NULL: there was none */
} iterator;

enum { ITERATOR = 3 }; /* upvalue, after the two strings */

/* Lua: an iterator of gmatch */
static int next_match(lua_State *L) {
  iterator *it = lua_touserdata(L, lua_upvalueindex(ITERATOR));
  neap__pattern *m = &it->m;
  const char *s;
  neap__pattern_start(m, L);
  for (s = it->next; s <= m->end; s++) {
    const char *e = neap__pattern_match(m, s);
    if (e == NULL || e == it->last)
      continue;
    it->next = it->last = e;
    return neap__pattern_push_all(m, s, e);
  }
  return 0;
}

/* Lua: string.gmatch(s, pattern [, init]) */
static int gmatch(lua_State *L) {
  size_t size, pattern_size, from;
  const char *s = luaL_checklstring(L, 1, &size);
  const char *p = luaL_checklstring(L, 2, &pattern_size);
  iterator *it;
  from = start(L, 3, size);
  lua_settop(L, 2);
  it = lua_newuserdatauv(L, sizeof *it, 0);
  neap__pattern_init(&it->m, s, size, p, pattern_size);
  it->next = s + (from > size ? size + 1 : from);
  it->last = NULL;
  lua_pushcclosure(L, next_match, ITERATOR);
  return 1;
}

/* ====================================================== } */

/* {======================================================
** gsub
** ======================================================= */

enum { REPLACEMENT = 3 }; /* stack index, in gsub */

/* Adds a replacement that is a text, with its captures put in. */
static void add_text(neap__pattern *m, luaL_Buffer *b, const char *s,
                     const char *e) {
  size_t size;
  const char *text = lua_tolstring(m->L, REPLACEMENT, &size);
  const char *end = text + size, *escape;
  while ((escape = memchr(text, '%', (size_t)(end - text))) != NULL) {
    neap__pattern_step(m, 1);
    luaL_addlstring(b, text, (size_t)(escape - text));
    text = escape + 2;
    if (escape[1] == '%')
      luaL_addchar(b, '%');
    else if (escape[1] == '0')
      luaL_addlstring(b, s, (size_t)(e - s));
    else if (isdigit((unsigned char)escape[1])) {
      const char *begin;
      ptrdiff_t n = neap__pattern_capture(m, escape[1] - '1', s, e, &begin);
      if (n == NEAP__POSITION)
        luaL_addvalue(b);
      else
        luaL_addlstring(b, begin, (size_t)n);
    }
    else
      luaL_error(m->L, "invalid use of '%c' in replacement string", '%');
  }
  luaL_addlstring(b, text, (size_t)(end - text));
}

/* Adds what replaces the match from s to e. False: it stays as it is. */
static int add_replacement(neap__pattern *m, luaL_Buffer *b, const char *s,
                           const char *e, int type) {
  lua_State *L = m->L;
  neap__pattern_step(m, CALL);
  if (type == LUA_TFUNCTION) {
    int n;
    lua_pushvalue(L, REPLACEMENT);
    n = neap__pattern_push_all(m, s, e);
    lua_call(L, n, 1);
  }
  else if (type == LUA_TTABLE) {
    neap__pattern_push(m, 0, s, e);
    lua_gettable(L, REPLACEMENT);
  }
  else {
    add_text(m, b, s, e);
    return 1;
  }
  if (!lua_toboolean(L, -1)) {
    lua_pop(L, 1);
    return 0;
  }
  if (!lua_isstring(L, -1))
    luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
  luaL_addvalue(b);
  return 1;
}

/* Lua: string.gsub(s, pattern, replacement [, n]) */
static int gsub(lua_State *L) {
  size_t size, pattern_size;
  const char *s = luaL_checklstring(L, 1, &size);
  const char *p = luaL_checklstring(L, 2, &pattern_size);
  int type = lua_type(L, REPLACEMENT);
  lua_Integer limit = luaL_optinteger(L, 4, (lua_Integer)size + 1), n = 0;
  const char *added = s;   /* up to here the buffer has it all */
  const char *last = NULL; /* end of the last match */
  int anchor = *p == '^', changed = 0;
  neap__pattern m;
  luaL_Buffer b;
  luaL_argexpected(L,
                   type == LUA_TNUMBER || type == LUA_TSTRING ||
                       type == LUA_TFUNCTION || type == LUA_TTABLE,
                   REPLACEMENT, "string/function/table");
  neap__pattern_init(&m, s, size, p + anchor, pattern_size - anchor);
  neap__pattern_start(&m, L);
  luaL_buffinit(L, &b);
  while (n < limit) {
    const char *e = neap__pattern_match(&m, s);
    if (e != NULL && e != last) {
      n++;
      luaL_addlstring(&b, added, (size_t)(s - added));
      added = s;
      if (add_replacement(&m, &b, s, e, type)) {
        added = e;
        changed = 1;
      }
      s = last = e;
    }
    else if (s++ == m.end)
      break;
    if (anchor)
      break;
  }
  if (changed) {
    luaL_addlstring(&b, added, (size_t)(m.end - added));
    luaL_pushresult(&b);
  }
  else
    lua_pushvalue(L, 1);
  lua_pushinteger(L, n);
  return 2;
}

/* ====================================================== } */

/* {======================================================
** rep, format, pack
** ======================================================= */

/* Lua: string.rep(s, n [, separator]) */
static int rep(lua_State *L) {
  size_t size, separator_size, unit, total, done;
  const char *s = luaL_checklstring(L, 1, &size);
  lua_Integer n = luaL_checkinteger(L, 2);
  const char *separator = luaL_optlstring(L, 3, "", &separator_size);
  luaL_Buffer b;
  char *bytes;
  unit = size + separator_size;
  if (n <= 0 || unit == 0) {
    lua_pushliteral(L, "");
    return 1;
  }
  if (unit < size || unit > (size_t)INT_MAX / (lua_Unsigned)n)
    return luaL_error(L, "resulting string too large");
  total = unit * (size_t)n - separator_size;
  bytes = luaL_buffinitsize(L, &b, total);
  memcpy(bytes, s, size);
  if (n > 1)
    memcpy(bytes + size, separator, separator_size);
  for (done = unit; done < total;) {
    size_t from = done % unit, more = done - from; /* it is periodic */
    if (more > BLOCK) {
      more = BLOCK;
      neap__checkpoint(L);
    }
    if (more > total - done)
      more = total - done;
    memcpy(bytes + done, bytes + from, more);
    done += more;
  }
  luaL_pushresultsize(&b, total);
  return 1;
}

/*
** Lua: string.format(format, ...)
** Lua's own, upvalue 1; but it goes through each argument of a "%s", however
** little of it is asked for, and calls __tostring or copies a __name. So that
** is done here before, with the texts kept for the limit of memory to see,
** and one argument given many times counts as many times.
*/
static int format(lua_State *L) {
  size_t size, total = 0;
  const char *f = luaL_checklstring(L, 1, &size), *end = f + size;
  int arg = 1, top = lua_gettop(L);
  while (arg < top && (f = memchr(f, '%', (size_t)(end - f))) != NULL) {
    if (*++f == '%') {
      f++;
      continue;
    }
    arg++;
    while (f < end && !isalpha((unsigned char)*f))
      f++; /* flags, width, precision */
    if (*f != 's')
      continue;
    if (!lua_isstring(L, arg)) {
      luaL_tolstring(L, arg, NULL);
      lua_replace(L, arg);
      neap__checkpoint(L);
    }
    total += lua_rawlen(L, arg); /* 0 for a number */
    if (total > INT_MAX)
      return luaL_error(L, "resulting string too large");
  }
  return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* Lua: string.pack(format, ...). Lua's own, upvalue 1, once the format asks
   for no long strings: "c1000000000" makes one of nothing. */
static int pack(lua_State *L) {
  const char *f = luaL_checkstring(L, 1);
  size_t total = 0;
  while ((f = strchr(f, 'c')) != NULL) {
    size_t size = 0;
    while (isdigit((unsigned char)*++f) && size <= LONGEST)
      size = size * 10 + (size_t)(*f - '0');
    total += size;
    luaL_argcheck(L, total <= LONGEST, 1, "format result too large");
  }
  return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* ====================================================== } */

/* Replaces a function of the table at the top by one around it. */
static void wrap(lua_State *L, const char *name, lua_CFunction f) {
  lua_getfield(L, -1, name);
  lua_pushcclosure(L, f, 1);
  lua_setfield(L, -2, name);
}

void neap__bounded_string_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"find", find}, {"match", find_match}, {"gmatch", gmatch},
      {"gsub", gsub}, {"rep", rep},          {NULL, NULL}};
  lua_getglobal(L, LUA_STRLIBNAME);
  luaL_setfuncs(L, functions, 0);
  wrap(L, "format", format);
  wrap(L, "pack", pack);
  lua_pushnil(L);
  lua_setfield(L, -2, "dump");
  lua_pop(L, 1);
}
