/*
** writer.c - what json.encode writes with: memory that grows, strings and
** numbers, and errors with the path to what cannot be written.
*/
#include "writer.h"

#include <math.h>
#include <stdio.h>


/*
** {======================================================
** Memory
** =======================================================
*/

int json_release(lua_State *L) {
  block *owned = lua_touserdata(L, 1);
  void *ud;
  lua_Alloc alloc = lua_getallocf(L, &ud);
  for (int i = 0; i < BLOCKS; i++) {
    if (owned[i].data != NULL)
      alloc(ud, owned[i].data, owned[i].size, 0);
    owned[i].data = NULL;
  }
  return 0;
}


static void makeowner(writer *w) {
  lua_State *L = w->L;
  w->owned = lua_newuserdatauv(L, BLOCKS * sizeof(block), 0);
  for (int i = 0; i < BLOCKS; i++)
    w->owned[i] = (block){NULL, 0};
  lua_pushvalue(L, JSON_OWNER);
  lua_setmetatable(L, -2);
  lua_replace(L, OWNER);
  lua_toclose(L, OWNER);
}


static void outofmemory(writer *w) {
  lua_pushliteral(w->L, "not enough memory"); /* as Lua says it */
  lua_error(w->L);
}


void json_grow(writer *w, int which, size_t need) {
  block *b = &w->in_use[which], *own;
  size_t size = 2 * b->size;
  void *ud, *data;
  lua_Alloc alloc = lua_getallocf(w->L, &ud);
  if (w->owned == NULL)
    makeowner(w);
  own = &w->owned[which];
  if (size < need)
    size = need;
  if (size < b->size)
    outofmemory(w);
  data = alloc(ud, own->data, own->data == NULL ? 0 : own->size, size);
  if (data == NULL)
    outofmemory(w);
  if (own->data == NULL) /* was it in the writer? */
    memcpy(data, b->data, b->size);
  *own = *b = (block){data, size};
}


/* }====================================================== */


/*
** {======================================================
** Errors
** =======================================================
*/

/* Adds a key to a path: .name, [1], ["any \"text\""]. */
static void addkey(lua_State *L, luaL_Buffer *b, int first, int key) {
  size_t len, plain;
  const char *s;
  switch (lua_type(L, key)) {
    case LUA_TNUMBER:
      if (lua_isinteger(L, key))
        lua_pushfstring(L, "[%I]", lua_tointeger(L, key));
      else
        lua_pushfstring(L, "[%f]", lua_tonumber(L, key));
      luaL_addvalue(b);
      return;
    case LUA_TBOOLEAN:
      luaL_addstring(b, lua_toboolean(L, key) ? "[true]" : "[false]");
      return;
    case LUA_TSTRING:
      break;
    default:
      lua_pushfstring(L, "[a %s]", luaL_typename(L, key));
      luaL_addvalue(b);
      return;
  }
  s = lua_tolstring(L, key, &len);
  plain = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                    "0123456789_");
  if (plain == len && len > 0 && !(*s >= '0' && *s <= '9')) { /* a name? */
    if (!first)
      luaL_addchar(b, '.');
    luaL_addlstring(b, s, len);
    return;
  }
  luaL_addstring(b, "[\"");
  for (const char *end = s + len; s < end;) {
    size_t n = json_plain[(unsigned char)*s] ? 1 : json_utf8(s);
    if (n > 0)
      luaL_addlstring(b, s, n);
    else {
      char text[8];
      snprintf(text, sizeof text, "\\x%02X", (unsigned)(unsigned char)*s);
      luaL_addstring(b, text);
    }
    s += n > 0 ? n : 1;
  }
  luaL_addstring(b, "\"]");
}


void json_pushkey(writer *w, const level *f) {
  switch (f->kind) {
    case ARRAY: case INDEXED:
      lua_pushinteger(w->L, f->i);
      break;
    case OBJECT:
      lua_pushvalue(w->L, f->slot + 1);
      break;
    case SORTED:
      lua_pushvalue(w->L, ENTRY(w, f->entries + (size_t)f->i - 1)->slot);
      break;
  }
}


void json_fail(writer *w, int depth, int key, const char *why,
                 lua_Integer n) {
  lua_State *L = w->L;
  int last = lua_gettop(L) + 1;
  luaL_Buffer b;
  const char *path, *head, *tail;
  size_t len;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_settop(L, last); /* for the key */
  luaL_buffinit(L, &b);
  for (int i = 0; i < depth; i++) {
    json_pushkey(w, LEVEL(w, i));
    lua_replace(L, last);
    addkey(L, &b, i == 0, last);
  }
  if (key != 0)
    addkey(L, &b, depth == 0, key);
  luaL_pushresult(&b);
  path = lua_tolstring(L, -1, &len);
  if (len == 0)
    path = "the value";
  else if (len > 200) { /* too long to read? */
    for (head = path + 100; (*head & 0xC0) == 0x80;)
      head--;
    for (tail = path + len - 80; (*tail & 0xC0) == 0x80;)
      tail++;
    lua_pushlstring(L, path, (size_t)(head - path));
    path = lua_pushfstring(L, "%s...%s", lua_tostring(L, -1), tail);
  }
  luaL_error(L, "cannot encode %s: %s", path, lua_pushfstring(L, why, n));
}


void json_toodeep(writer *w) {
  int again = 0, found = 0;
  for (int i = 0; i < w->depth && found < 2; i++) {
    if (lua_rawequal(w->L, LEVEL(w, i)->slot, -1)) {
      again = i;
      found++;
    }
  }
  if (found == 0)
    json_fail(w, w->depth, 0, "nested more than %I levels deep", w->max_depth);
  else /* it is its own child, the first time at... */
    json_fail(w, found == 1 ? w->depth : again, 0,
              "a table that contains itself", 0);
}

/* }====================================================== */


/*
** {======================================================
** Strings and numbers
** =======================================================
*/

static void addescape(writer *w, unsigned char c) {
  static const char names[] = "btn?fr"; /* of the characters 8 to 13 */
  char *out = room(w, 6);
  *out++ = '\\';
  if (c == '"' || c == '\\')
    *out = (char)c;
  else if (8 <= c && c <= 13 && c != 11)
    *out = names[c - 8];
  else {
    memcpy(out, "u00", 3);
    out[3] = "01"[c >> 4];
    out[4] = "0123456789abcdef"[c & 15];
    w->len += 4;
  }
  w->len += 2;
}


int json_addstring(writer *w, const char *s, size_t len) {
  const char *end = s + len;
  room(w, len + 2);
  addchar(w, '"');
  for (;;) {
    const char *p = s;
    for (;;) { /* how much goes as it is? */
      size_t n;
      p = json_skipplain(p, end);
      if ((unsigned char)*p < 0x80)
        break;
      n = json_utf8(p);
      if (n == 0)
        return 0;
      p += n;
    }
    addbytes(w, s, (size_t)(p - s));
    if (p == end)
      break;
    addescape(w, (unsigned char)*p);
    s = p + 1;
  }
  addchar(w, '"');
  return 1;
}


void json_addnumber(writer *w) {
  char *out = room(w, JSON_NUMBER_SIZE);
  if (lua_isinteger(w->L, -1))
    w->len += json_writeinteger(out, lua_tointeger(w->L, -1));
  else {
    lua_Number x = lua_tonumber(w->L, -1);
    if (!isfinite(x))
      json_fail(w, w->depth, 0, isnan(x) ? "JSON has no NaN"
                                    : "JSON has no infinity", 0);
    w->len += json_writefloat(out, x);
  }
}

/* }====================================================== */
