/*
** warn.c - Lua's warnings: off at first, "@on" and "@off" switch them, and
** a whole message goes to the host's report handler.
*/
#include "warn.h"

#include <string.h>

/* Appends a piece. Without memory the message is cut, never lost whole. */
static void add(neap_vm *vm, const char *piece) {
  size_t len = strlen(piece), needed;
  if (neap__is_sandbox(vm) && len > NEAP__LONGEST_REPORT - vm->warning_len)
    len = NEAP__LONGEST_REPORT - vm->warning_len;
  needed = vm->warning_len + len + 1; /* and a 0 */
  if (needed > vm->warning_size) {
    size_t size = needed < 120 ? 120 : needed * 2;
    char *text = (char *)neap__alloc(vm, vm->warning, vm->warning_size, size);
    if (text != NULL) {
      vm->warning = text;
      vm->warning_size = size;
    }
    else if (vm->warning == NULL)
      return;
    else
      len = vm->warning_size - vm->warning_len - 1;
  }
  memcpy(vm->warning + vm->warning_len, piece, len);
  vm->warning_len += len;
  vm->warning[vm->warning_len] = '\0';
}

/* A message that begins with '@', in one piece, is for us. */
static void control(neap_vm *vm, const char *message) {
  if (strcmp(message, "@on") == 0)
    vm->warnings_on = 1;
  else if (strcmp(message, "@off") == 0)
    vm->warnings_on = 0;
}

static void warn(void *ud, const char *piece, int to_be_continued) {
  neap_vm *vm = (neap_vm *)ud;
  int first = vm->warning_len == 0;
  if (first && !to_be_continued && *piece == '@') {
    control(vm, piece);
    return;
  }
  if (!vm->warnings_on)
    return;
  if (first)
    add(vm, "Lua warning: ");
  add(vm, piece);
  if (!to_be_continued) {
    neap__report_text(vm, vm->warning != NULL ? vm->warning : "",
                      vm->warning_len);
    vm->warning_len = 0;
  }
}

void neap__warn_init(neap_vm *vm) { lua_setwarnf(vm->main, warn, vm); }
