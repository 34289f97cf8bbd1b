/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* PID 1 after the switch, where ssi.init=ssi: the agent, the services, orphans, and orders to end. */
#include "ssi-init/boot.h"
#include "ssi-init/stage.h"

/* Does not return. The timeline of s gets the agent's line. */
void supervise(const struct boot *b, const struct stages *s) __attribute__((noreturn));
