/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A stage of a boot (doc/boot.md), as it is reported and kept. */
#include <stdint.h>

struct ssi_boot_stage { char name[32]; uint64_t start_ms, end_ms; uint32_t tries; };   /* ms of the node's CLOCK_BOOTTIME */

/* A decoded stage, bounded and printable. */
struct Ssi__Boot__Stage;
void ssi_boot_stage_copy(struct ssi_boot_stage *dst, const struct Ssi__Boot__Stage *src);
