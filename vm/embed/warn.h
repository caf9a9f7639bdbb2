/*
** warn.h - Lua's warnings (warn.c).
*/
#ifndef NEAP_WARN_H
#define NEAP_WARN_H

#include "../core/vm.h"

void neap__warn_init(neap_vm *vm);

#endif
