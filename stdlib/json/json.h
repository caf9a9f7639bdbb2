/*
** json.h - what the files of the module `json` share: the upvalues of its
** functions, how options are read, and what a string of JSON may contain.
*/
#ifndef JSON_H
#define JSON_H

#include <stdint.h>
#include <string.h>

#include <lua.h>
#include <lauxlib.h>

/* The upvalues that each function of the module has. */
enum {
  JSON_NULL = lua_upvalueindex(1),  /* json.null */
  JSON_ARRAY = lua_upvalueindex(2), /* the metatable of marked arrays */
  JSON_OBJECT = lua_upvalueindex(3), /* that of marked objects */
  JSON_ERROR = lua_upvalueindex(4), /* the class JSONDecodeError */
  JSON_OWNER = lua_upvalueindex(5), /* the metatable of encode's memory */
  JSON_UPVALUES = 5
};

/*
** The deepest nesting, whatever max_depth says: levels are kept on Lua's
** stack, four slots each, and that has 1,000,000.
*/
#define JSON_DEEPEST 100000
#define JSON_MAX_DEPTH 1000 /* where the caller gives none */

/* json.c: the value of an option, for the names that a function takes. */

/* Stops at an option that is none of `names`, which a NULL ends. */
void json_checkoptions(lua_State *L, int arg, const char *const *names);
/* A number of levels, bytes or spaces: `otherwise` if it was not given. */
lua_Number json_numberoption(lua_State *L, int arg, const char *name,
                             lua_Number otherwise);
int json_booleanoption(lua_State *L, int arg, const char *name,
                       int otherwise);

/* Makes sure that a mark has no finalizer: scripts can reach the marks. */
void json_cleanmark(lua_State *L, int metatable);

/* Lets the host stop a script whose document is endless: it can where Lua
   calls a function. Called every so many values. */
#define JSON_STEPS 4096
void json_checkpoint(lua_State *L);

/* json.decode, json.encode, json.is_array */
int json_decode(lua_State *L);
int json_encode(lua_State *L);
int json_is_array(lua_State *L);
/* Frees what a userdata with the metatable JSON_OWNER owns. */
int json_release(lua_State *L);

/* number.c */

#define JSON_NUMBER_SIZE 32 /* bytes that hold every number */

/*
** Reads the number at `p`, in a text that a NUL ends, and pushes it. Returns
** where it ends; or NULL, with nothing pushed, where it goes wrong in `*at`
** and what the matter is in `*why`.
*/
const char *json_readnumber(lua_State *L, const char *p, const char **at,
                            const char **why);
/* Write a number, without a NUL; return how many bytes it takes. */
size_t json_writeinteger(char *out, lua_Integer n);
size_t json_writefloat(char *out, lua_Number x); /* x is finite */

/*
** What a string may contain as it is. All functions look at bytes until one
** that they do not accept, and the NUL behind a Lua string is such a one.
*/

/* Which bytes are ASCII and need no escape: not controls, '"', '\\'. */
extern const unsigned char json_plain[256];

/* The first byte from `p` on that is not plain. */
static inline const char *json_skipplain(const char *p, const char *end) {
  const uint64_t ones = 0x0101010101010101u;
  while (end - p >= 8) { /* eight at once */
    uint64_t w, quote, backslash;
    memcpy(&w, p, 8);
    quote = w ^ (ones * '"');
    backslash = w ^ (ones * '\\');
    /* in a word of plain bytes no subtraction borrows, and no byte has its
       highest bit set before or after */
    if (((w | (w - ones * 0x20) | (quote - ones) | (backslash - ones))
         & (ones * 0x80)) != 0)
      break;
    p += 8;
  }
  while (json_plain[(unsigned char)*p])
    p++;
  return p;
}

/*
** The length of the character at `p`, a byte outside ASCII; 0: it is no
** UTF-8 (too long a form, half of a surrogate pair, beyond U+10FFFF).
*/
static inline size_t json_utf8(const char *text) {
  const unsigned char *p = (const unsigned char *)text;
#define CONTINUES(i) ((p[i] & 0xC0) == 0x80)
  if (p[0] < 0xC2)
    return 0;
  if (p[0] < 0xE0)
    return CONTINUES(1) ? 2 : 0;
  if (p[0] < 0xF0) {
    if (!CONTINUES(1) || !CONTINUES(2) || (p[0] == 0xE0 && p[1] < 0xA0) ||
        (p[0] == 0xED && p[1] > 0x9F))
      return 0;
    return 3;
  }
  if (p[0] > 0xF4 || !CONTINUES(1) || !CONTINUES(2) || !CONTINUES(3) ||
      (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))
    return 0;
  return 4;
#undef CONTINUES
}

#endif
