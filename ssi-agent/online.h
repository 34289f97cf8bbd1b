/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Bringing processors and memory into use that appeared in a running machine, through a sysfs that is held open as sys. */
#include <stdbool.h>
#include <stddef.h>

/* Does a uevent's devpath name a processor or a block of memory? */
bool online_is(const char *devpath);
/* Where new memory goes: so that it can be taken out again, as far as the kernel thinks it can afford that. A kernel before 5.15 has its own mind. */
void online_policy(int sys);
/* Bring online what the kernel did not. 1 if so, 0 if it is in use already, -errno. The kernel may take seconds for it. */
int online_bring(int sys, const char *devpath);
