/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any file as an ELF file: what is taken from it are strings with an end, within their bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "libssi/base/fd.h"
#include "ssi/rexec/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *s)
{
	if (s && strlen(s) >= SSI_ELF_STRINGS)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct ssi_arena a = { 0 };
	_cleanup_close_ int fd = memfd_create("elf", MFD_CLOEXEC);
	struct ssi_elf elf;
	struct ssi_err e;

	if (fd < 0 || ssi_fd_write_all(fd, data, size) < 0)
		return 0;
	if (ssi_elf_read(fd, "it", &a, &elf, &e) < 0)
		return 0;
	if (!ssi_elf_is(data, size) || elf.n_needed > SSI_ELF_NEEDED || elf.x86_level > 4)
		abort();
	check(elf.interpreter);
	check(elf.rpath);
	check(elf.runpath);
	for (size_t i = 0; i < elf.n_needed; i++)
		check(elf.needed[i]);
	return 0;
}
