/*
** writer.h - what json.encode works on: the text so far, and the tables that
** are being written.
**
** A table that is being written is a `level`. On Lua's stack its slot is
** followed by the key that it is at and the value of that, or, in an object
** that is sorted, by all its keys and values. The text, the levels and the
** keys being sorted are in memory of Lua's allocator, which belongs to a
** to-be-closed userdata as soon as that in the writer itself is too small:
** any call of Lua may raise an error.
*/
#ifndef JSON_WRITER_H
#define JSON_WRITER_H

#include "json.h"

enum { OUT, LEVELS, ENTRIES, BLOCKS }; /* what memory is for */

typedef struct block {
  void *data;
  size_t size; /* in bytes */
} block;

typedef enum kind {
  ARRAY,   /* lua_next gives the keys 1, 2, 3 ... in this order */
  INDEXED, /* an array for which it does not */
  OBJECT,  /* keys come from lua_next */
  SORTED   /* keys are in the entries */
} kind;

typedef struct level {
  int slot;        /* of the table on the stack */
  kind kind;
  lua_Integer i;   /* children written or begun */
  lua_Integer n;   /* INDEXED, SORTED: children that there are */
  size_t entries;  /* where its own begin */
} level;

/* A key of an object that is sorted. */
typedef struct entry {
  const char *key;
  size_t len;
  int slot; /* of the key on the stack; its value is in the next */
} entry;

typedef struct writer {
  lua_State *L;
  block in_use[BLOCKS];
  block *owned;          /* those of the userdata; NULL: there is none */
  size_t len;            /* bytes of the text so far */
  int depth;             /* open levels */
  size_t entries;        /* that are in use */
  int max_depth;
  int indent;            /* spaces a level; -1: all in one line */
  int sort;
  const void *null;      /* json.null */
  char out[1024];
  level levels[16];
  entry first[32];
} writer;

/* On the stack: the caller's arguments, and the userdata that owns memory. */
enum { VALUE = 1, OPTIONS, OWNER };

#define LEVEL(w, i) ((level *)(w)->in_use[LEVELS].data + (i))
#define ENTRY(w, i) ((entry *)(w)->in_use[ENTRIES].data + (i))

/* writer.c */

/* Makes room for `need` bytes in all, and in any case for more. */
void json_grow(writer *w, int which, size_t need);

/* Pushes the key that a level is at. */
void json_pushkey(writer *w, const level *f);

/*
** Raises the error that something cannot be encoded: the value that the keys
** of the first `depth` levels lead to, or in that the key at the index `key`,
** if it is not 0. `why` is a format for `n`.
*/
void json_fail(writer *w, int depth, int key, const char *why, lua_Integer n);
/* Fails because the table on the top of the stack is too deep. */
void json_toodeep(writer *w);

/* Write a string (returns 0 if it is not UTF-8), and the number on the top of
   the stack. */
int json_addstring(writer *w, const char *s, size_t len);
void json_addnumber(writer *w);


/* Room for `n` more bytes of text. */
static inline char *room(writer *w, size_t n) {
  if (w->in_use[OUT].size - w->len < n)
    json_grow(w, OUT, w->len + n);
  return (char *)w->in_use[OUT].data + w->len;
}


static inline void addbytes(writer *w, const char *bytes, size_t n) {
  memcpy(room(w, n), bytes, n);
  w->len += n;
}


static inline void addchar(writer *w, char c) {
  *room(w, 1) = c;
  w->len++;
}

#endif
