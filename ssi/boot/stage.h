/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A stage of a boot (doc/boot.md), as it is reported and kept. */
#include <stdint.h>

struct ssi_boot_stage { char name[32]; uint64_t start_ms, end_ms; uint32_t tries; };   /* ms of the node's CLOCK_BOOTTIME */

/* What a token is traded for: the key of this incarnation, and what the node is known by whatever machine plays it (ssi-init/identity.h). */
#define SSI_BOOT_KEY 32
struct ssi_boot_keys { uint8_t key[SSI_BOOT_KEY], identity[SSI_BOOT_KEY]; };

/* A decoded stage, bounded and printable. */
struct Ssi__Boot__Stage;
void ssi_boot_stage_copy(struct ssi_boot_stage *dst, const struct Ssi__Boot__Stage *src);
