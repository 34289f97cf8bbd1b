/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Who has which number of the merged system (doc/pids.md). Pure. A number's owner is a node's number. */
#include <stdint.h>

struct ssi_procs_numbers;
struct ssi_procs_numbers *ssi_procs_numbers_new(uint32_t first); /* first: of other processes, which one is given first; any is. NULL: out of memory */
void ssi_procs_numbers_free(struct ssi_procs_numbers *n);
uint32_t ssi_procs_number_get(struct ssi_procs_numbers *n, uint32_t owner);      /* the next free one of other processes; 0: there is none */
int ssi_procs_number_claim(struct ssi_procs_numbers *n, uint32_t number, uint32_t owner);    /* this one, a job's or another; -EEXIST: it is taken; -ERANGE */
void ssi_procs_number_put(struct ssi_procs_numbers *n, uint32_t number);         /* free again; 0 is fine */
uint32_t ssi_procs_number_owner(const struct ssi_procs_numbers *n, uint32_t number);         /* 0: nobody */
