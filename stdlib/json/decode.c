/*
** decode.c - json.decode: a text of JSON into Lua values, in one pass.
**
** There is no tree between them, as a library would make: libjansson was
** the first choice, and takes, for its tree alone, 1.6 to 10 times as long as
** Python's json for everything (2.1 times for a list of records, 10 for long
** strings). To be faster than that is what this is for.
**
** Nothing recurses: an open array or object is a `level`, and its children
** wait behind its slot on Lua's stack. When it is closed a table of just the
** right size is made in that slot. If there are many children, the table is
** made sooner and the others go into it one by one. All that is allocated
** belongs to Lua, so that any call here may raise an error.
*/
#include "json.h"

#define BATCH 64       /* slots of children that may wait for their table */
#define CROWDED 20000  /* slots on the stack from which only few may */
#define FEW 2
#define FIRST_LEVELS 32

/* An open array or object. */
typedef struct level {
  int slot;           /* on the stack: its table, at first nil */
  int object;         /* not an array? */
  int batch;          /* slots of children after which the table is made */
  lua_Integer stored; /* elements of the array in the table; -1: no table */
} level;

typedef struct reader {
  lua_State *L;
  const char *text, *end;
  const char *p;          /* what is read next */
  level *levels;          /* the open ones */
  int depth;              /* how many they are */
  int room;               /* how many there may be in `levels` */
  int max_depth;
  level first[FIRST_LEVELS];
} reader;

/* The caller's arguments, and the userdata that holds more levels. */
enum { TEXT = 1, OPTIONS, LEVELS };


/*
** {======================================================
** Errors
** =======================================================
*/

/*
** Raises a JSONDecodeError for the byte at `at`. The top of the stack has
** what is wrong with it.
*/
static void raise(reader *r, const char *at) {
  lua_State *L = r->L;
  lua_Integer line = 1, column = 1, pos = at - r->text + 1;
  for (const char *p = r->text; p < at; p++) {
    if (*p == '\n') {
      line++;
      column = 1;
    }
    else /* a character's further bytes take no column */
      column += (*p & 0xC0) != 0x80;
  }
  lua_pushvalue(L, JSON_ERROR);
  lua_pushfstring(L, "%s: line %I column %I (byte %I)", lua_tostring(L, -2),
                  line, column, pos);
  lua_call(L, 1, 1);
  lua_pushinteger(L, line);
  lua_setfield(L, -2, "lineno");
  lua_pushinteger(L, column);
  lua_setfield(L, -2, "colno");
  lua_pushinteger(L, pos);
  lua_setfield(L, -2, "pos");
  lua_error(L);
}


static void fail(reader *r, const char *at, const char *what) {
  lua_pushstring(r->L, what);
  raise(r, at);
}


/* Raises an error that shows what is in the text at `at`. */
static void unexpected(reader *r, const char *at, const char *what) {
  const char *p = at;
  while (p < r->end && p - at < 20 && json_plain[(unsigned char)*p] &&
         strchr(" \t\r\n,:[]{}", *p) == NULL)
    p++;
  if (p == at && json_plain[(unsigned char)*p]) /* a lone sign? */
    p++;
  if (p > at)
    lua_pushfstring(r->L, "%s near '%s'", what,
                    lua_pushlstring(r->L, at, (size_t)(p - at)));
  else if (at == r->end)
    lua_pushfstring(r->L, "%s near the end", what);
  else if (*at == '"')
    lua_pushfstring(r->L, "%s near a string", what);
  else {
    char code[8];
    lua_Integer byte = (unsigned char)*at;
    code[0] = "0123456789ABCDEF"[byte >> 4];
    code[1] = "0123456789ABCDEF"[byte & 15];
    code[2] = '\0';
    lua_pushfstring(r->L, "%s near the byte 0x%s", what, code);
  }
  raise(r, at);
}

/* }====================================================== */


/*
** {======================================================
** Strings
** =======================================================
*/

/* The value of the four hexadecimal digits at `p`; -1: they are none. */
static int hex4(const char *p) {
  int value = 0;
  for (int i = 0; i < 4; i++) {
    int c = p[i], lower = c | 0x20;
    if ('0' <= c && c <= '9')
      value = value * 16 + c - '0';
    else if ('a' <= lower && lower <= 'f')
      value = value * 16 + lower - 'a' + 10;
    else
      return -1;
  }
  return value;
}


/*
** Writes the character of the escape \uXXXX at `*p`, which may be the first
** of a surrogate pair; leaves `*p` behind it.
*/
static char *unicode(reader *r, const char **p, char *out) {
  const char *at = *p;
  int c = hex4(at + 2);
  if (c < 0)
    fail(r, at, "four hexadecimal digits expected behind \\u");
  *p += 6;
  if (c >= 0xD800 && c <= 0xDFFF) {
    int low = c < 0xDC00 && at[6] == '\\' && at[7] == 'u' ? hex4(at + 8) : 0;
    if (low < 0xDC00 || low > 0xDFFF)
      fail(r, at, "half of a surrogate pair");
    *p += 6;
    c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    *out++ = (char)(0xF0 | c >> 18);
    *out++ = (char)(0x80 | (c >> 12 & 0x3F));
  }
  else if (c >= 0x800)
    *out++ = (char)(0xE0 | c >> 12);
  else {
    if (c < 0x80)
      *out++ = (char)c;
    else {
      *out++ = (char)(0xC0 | c >> 6);
      *out++ = (char)(0x80 | (c & 0x3F));
    }
    return out;
  }
  *out++ = (char)(0x80 | (c >> 6 & 0x3F));
  *out++ = (char)(0x80 | (c & 0x3F));
  return out;
}


/* Writes the character of the escape at `*p`, leaves that behind it. */
static char *unescape(reader *r, const char **p, char *out) {
  char c = (*p)[1];
  switch (c) {
    case 'u': return unicode(r, p, out);
    case '"': case '\\': case '/': break;
    case 'b': c = '\b'; break;
    case 'f': c = '\f'; break;
    case 'n': c = '\n'; break;
    case 'r': c = '\r'; break;
    case 't': c = '\t'; break;
    default: fail(r, *p, "an escape that JSON does not have");
  }
  *out++ = c;
  *p += 2;
  return out;
}


/*
** The end of the part of a string from `p` on that needs no change: its
** closing quote or a backslash.
*/
static const char *literal(reader *r, const char *p) {
  for (;;) {
    size_t n;
    p = json_skipplain(p, r->end);
    if (*p == '"' || *p == '\\')
      return p;
    if (p == r->end)
      fail(r, p, "a string without an end");
    if ((unsigned char)*p < 0x20)
      fail(r, p, "a control character in a string, which needs an escape");
    n = json_utf8(p);
    if (n == 0)
      fail(r, p, "a string that is not UTF-8");
    p += n;
  }
}


/* The closing quote of the string in which `p` is. */
static const char *closing(reader *r, const char *p) {
  for (;; p++) {
    const char *first;
    p = memchr(p, '"', (size_t)(r->end - p));
    if (p == NULL) {
      fail(r, r->end, "a string without an end");
      return NULL; /* never */
    }
    for (first = p; first[-1] == '\\';)
      first--;
    if ((p - first) % 2 == 0) /* all the backslashes before it in pairs? */
      return p;
  }
}


/* Pushes the string whose opening quote was read. */
static void readstring(reader *r) {
  const char *start = r->p, *p = literal(r, start);
  luaL_Buffer b;
  char *out;
  if (*p == '"') { /* no escape? */
    lua_pushlstring(r->L, start, (size_t)(p - start));
    r->p = p + 1;
    return;
  }
  out = luaL_buffinitsize(r->L, &b, (size_t)(closing(r, p) - start));
  for (;;) {
    memcpy(out, start, (size_t)(p - start));
    out += p - start;
    if (*p == '"')
      break;
    out = unescape(r, &p, out);
    start = p;
    p = literal(r, p);
  }
  luaL_pushresultsize(&b, (size_t)(out - luaL_buffaddr(&b)));
  r->p = p + 1;
}

/* }====================================================== */


/*
** {======================================================
** Arrays and objects
** =======================================================
*/

static void openlevel(reader *r, int object) {
  lua_State *L = r->L;
  level *f;
  if (r->depth >= r->max_depth) {
    lua_pushfstring(L, "nested more than %d levels deep", r->max_depth);
    raise(r, r->p - 1);
  }
  if (r->depth == r->room) {
    size_t size = (size_t)r->room * sizeof(level);
    void *more = lua_newuserdatauv(L, 2 * size, 0);
    r->levels = memcpy(more, r->levels, size);
    r->room *= 2;
    lua_replace(L, LEVELS);
  }
  luaL_checkstack(L, BATCH + LUA_MINSTACK, "too deep");
  lua_pushnil(L);
  f = &r->levels[r->depth++];
  f->slot = lua_gettop(L);
  f->object = object;
  f->batch = f->slot < CROWDED ? BATCH : FEW;
  f->stored = -1;
}


/* Makes the table of a level, of the children behind its slot. */
static void maketable(reader *r, level *f) {
  lua_State *L = r->L;
  int n = lua_gettop(L) - f->slot;
  f->stored = 0;
  if (f->object) {
    lua_createtable(L, 0, n / 2);
    lua_replace(L, f->slot);
    for (int i = 1; i < n; i += 2) { /* in order: of equal keys, the last */
      lua_pushvalue(L, f->slot + i);
      lua_pushvalue(L, f->slot + i + 1);
      lua_rawset(L, f->slot);
    }
    lua_settop(L, f->slot);
  }
  else {
    lua_createtable(L, n, 0);
    lua_pushvalue(L, JSON_ARRAY);
    lua_setmetatable(L, -2);
    lua_replace(L, f->slot);
    for (f->stored = n; n > 0; n--)
      lua_rawseti(L, f->slot, n);
  }
}


/* Puts the child on the top of the stack where it belongs. */
static void addchild(reader *r, level *f) {
  if (f->stored < 0) { /* no table yet? */
    if (lua_gettop(r->L) - f->slot >= f->batch)
      maketable(r, f);
  }
  else if (f->object)
    lua_rawset(r->L, f->slot);
  else
    lua_rawseti(r->L, f->slot, ++f->stored);
}

/* }====================================================== */


/* Skips white space; returns the byte behind it. */
static inline char next(reader *r) {
  const char *p = r->p;
  while (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')
    p++;
  r->p = p;
  return *p;
}


static void readliteral(reader *r, const char *word, size_t len) {
  if (strncmp(r->p, word, len) != 0)
    unexpected(r, r->p, "a value expected");
  r->p += len;
}


/* Reads a value; pushes it if it is whole, opens a level if it is not. */
static void readvalue(reader *r) {
  lua_State *L = r->L;
  const char *end, *at, *why;
  char c = next(r);
  switch (c) {
    case '"':
      r->p++;
      readstring(r);
      break;
    case '{': case '[':
      r->p++;
      openlevel(r, c == '{');
      break;
    case 't':
      readliteral(r, "true", 4);
      lua_pushboolean(L, 1);
      break;
    case 'f':
      readliteral(r, "false", 5);
      lua_pushboolean(L, 0);
      break;
    case 'n':
      readliteral(r, "null", 4);
      lua_pushvalue(L, JSON_NULL);
      break;
    case '-':
    case '0': case '1': case '2': case '3': case '4':
    case '5': case '6': case '7': case '8': case '9':
      end = json_readnumber(L, r->p, &at, &why);
      if (end == NULL)
        unexpected(r, at, why);
      r->p = end;
      break;
    default:
      unexpected(r, r->p, "a value expected");
  }
}


/* Reads a key and its colon, pushes the key. */
static void readkey(reader *r) {
  if (next(r) != '"')
    unexpected(r, r->p, "a key in double quotes expected");
  r->p++;
  readstring(r);
  if (next(r) != ':')
    unexpected(r, r->p, "':' expected");
  r->p++;
}


/* Reads a whole text; its value is then on the top of the stack. */
static void readtext(reader *r) {
  unsigned steps = 0;
  do {
    int opened = r->depth;
    if (++steps % JSON_STEPS == 0)
      json_checkpoint(r->L);
    readvalue(r);
    opened = r->depth > opened;
    while (r->depth > 0) { /* what comes behind this value? */
      level *f = &r->levels[r->depth - 1];
      char close = f->object ? '}' : ']';
      char c = next(r);
      if (!opened) {
        addchild(r, f);
        if (c != ',' && c != close)
          unexpected(r, r->p, f->object ? "',' or '}' expected"
                                        : "',' or ']' expected");
      }
      if (c != close) { /* one more child? */
        r->p += !opened;
        if (f->object)
          readkey(r);
        break;
      }
      r->p++;
      if (f->stored < 0)
        maketable(r, f);
      r->depth--;
      opened = 0;
    }
  } while (r->depth > 0);
}


/* json.decode(text [, options]) -> value */
int json_decode(lua_State *L) {
  static const char *const names[] = {"max_depth", "max_size", NULL};
  reader r;
  size_t len;
  lua_Number depth;
  luaL_checktype(L, TEXT, LUA_TSTRING);
  r.text = r.p = lua_tolstring(L, TEXT, &len);
  r.end = r.text + len;
  json_checkoptions(L, OPTIONS, names);
  json_cleanmark(L, JSON_ARRAY);
  lua_settop(L, LEVELS);
  depth = json_numberoption(L, OPTIONS, "max_depth", JSON_MAX_DEPTH);
  r.L = L;
  r.max_depth = depth < JSON_DEEPEST ? (int)depth : JSON_DEEPEST;
  r.levels = r.first;
  r.room = FIRST_LEVELS;
  r.depth = 0;
  depth = json_numberoption(L, OPTIONS, "max_size", (lua_Number)len);
  if (depth < (lua_Number)len) {
    lua_pushfstring(L, "%I bytes are more than max_size", (lua_Integer)len);
    raise(&r, r.text + (size_t)depth);
  }
  if (strncmp(r.text, "\xEF\xBB\xBF", 3) == 0)
    fail(&r, r.text, "a byte order mark, which JSON does not have");
  readtext(&r);
  next(&r);
  if (r.p != r.end)
    unexpected(&r, r.p, "the end expected");
  return 1;
}
