/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What a machine executes: architectures by their ELF number and by uname's name, and the levels of x86-64 (x86-64 psABI: v1 to v4). */
#include <stdbool.h>
#include <stdint.h>
#include "libssi/base/err.h"

/* As people say it, and uname -m where it is known: "x86_64", "aarch64"; a number's text (static) else. */
const char *ssi_platform_name(uint16_t machine);
/* Does a machine whose uname -m is arch execute programs for it? i386 on x86_64 too. An arch that is not known runs nothing. */
bool ssi_platform_runs(const char *arch, uint16_t machine);
/* The e_machine of an arch; 0: not known. */
uint16_t ssi_platform_machine(const char *arch);
/* This machine's: 1 to 4; 0 where it is no x86-64. Asks the processor, so it costs nothing. */
unsigned ssi_platform_level(void);
/* 0; -ENOEXEC and who is what: "NAME is a program for aarch64 …; WHERE is x86_64". A level of 0 is not compared. */
int ssi_platform_check(const char *name, uint16_t machine, unsigned level, const char *where, const char *arch, unsigned has, struct ssi_err *e);
