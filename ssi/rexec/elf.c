/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads of an ELF file what pack needs to know: headers, the interpreter, the dynamic section and its strings, the property note. Section headers are not
 * looked at: a stripped program has none.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "ssi/rexec/elf.h"

#define ELF_SEGMENTS 128
#define ELF_DYNAMIC (64u << 10)
#define ELF_NOTES (64u << 10)
#define ELF_INTERPRETER 1024
#define ELF_STRING 4096
#ifndef NT_GNU_PROPERTY_TYPE_0
#define NT_GNU_PROPERTY_TYPE_0 5
#endif
#define ELF_X86_NEEDED 0xc0008002u       /* GNU_PROPERTY_X86_ISA_1_NEEDED: a bit for each level */

struct elf_segment { uint32_t type; uint64_t offset, address, size; };

struct elf_file {
	int fd;
	const char *name;
	struct ssi_arena *arena;
	struct ssi_elf elf;
	struct elf_segment segments[ELF_SEGMENTS];
	size_t n_segments;
	struct ssi_err *e;
};

bool ssi_elf_is(const void *p, size_t n)
{
	return n >= SELFMAG && memcmp(p, ELFMAG, SELFMAG) == 0;
}

static uint64_t elf_get(const struct elf_file *f, const uint8_t *p, unsigned size)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < size; i++)
		v |= (uint64_t)p[i] << 8 * (f->elf.big ? size - 1 - i : i);
	return v;
}

static int elf_damaged(const struct elf_file *f, const char *what)
{
	return ssi_errf(f->e, -ENOEXEC, "%s is damaged: %s", f->name, what);
}

static int elf_load(const struct elf_file *f, uint64_t offset, void *p, size_t n, const char *what)
{
	if (offset > INT64_MAX - n)
		return elf_damaged(f, what);
	for (size_t got = 0; got < n;) {
		ssize_t r = pread(f->fd, (uint8_t *)p + got, n - got, (off_t)(offset + got));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return ssi_errno(f->e, -errno, "%s", f->name);
		if (r == 0)
			return elf_damaged(f, what);
		got += (size_t)r;
	}
	return 0;
}

/* Fields of the two classes lie at other places and are of other sizes: {offset, size} for 32 and 64 bit. */
struct elf_field { uint8_t at[2], size[2]; };
static uint64_t elf_field(const struct elf_file *f, const uint8_t *p, struct elf_field d)
{
	return elf_get(f, p + d.at[f->elf.wide], d.size[f->elf.wide]);
}

static int elf_segments(struct elf_file *f, uint64_t offset, unsigned n, unsigned size)
{
	static const struct elf_field at = { { 4, 8 }, { 4, 8 } }, address = { { 8, 16 }, { 4, 8 } }, length = { { 16, 32 }, { 4, 8 } };
	uint8_t entries[ELF_SEGMENTS * sizeof(Elf64_Phdr)];
	int r;

	if (size != (f->elf.wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)) || !n || n > ELF_SEGMENTS)
		return elf_damaged(f, "its program headers");
	r = elf_load(f, offset, entries, (size_t)n * size, "its program headers");
	if (r < 0)
		return r;
	for (; f->n_segments < n; f->n_segments++) {
		struct elf_segment *s = &f->segments[f->n_segments];
		const uint8_t *entry = entries + f->n_segments * size;

		s->type = (uint32_t)elf_get(f, entry, 4);
		s->offset = elf_field(f, entry, at);
		s->address = elf_field(f, entry, address);
		s->size = elf_field(f, entry, length);
	}
	return 0;
}

static int elf_header(struct elf_file *f)
{
	static const struct elf_field table = { { 28, 32 }, { 4, 8 } }, size = { { 42, 54 }, { 2, 2 } }, count = { { 44, 56 }, { 2, 2 } };
	uint8_t h[sizeof(Elf64_Ehdr)];
	int r = elf_load(f, 0, h, EI_NIDENT, "its header");

	if (r < 0)
		return r;
	if (!ssi_elf_is(h, EI_NIDENT))
		return ssi_errf(f->e, -ENOEXEC, "%s is no ELF file", f->name);
	if ((h[EI_CLASS] != ELFCLASS32 && h[EI_CLASS] != ELFCLASS64) || (h[EI_DATA] != ELFDATA2LSB && h[EI_DATA] != ELFDATA2MSB))
		return elf_damaged(f, "its header");
	f->elf.wide = h[EI_CLASS] == ELFCLASS64;
	f->elf.big = h[EI_DATA] == ELFDATA2MSB;
	r = elf_load(f, 0, h, f->elf.wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr), "its header");
	if (r < 0)
		return r;
	f->elf.type = (uint16_t)elf_get(f, h + 16, 2);
	f->elf.machine = (uint16_t)elf_get(f, h + 18, 2);
	if (f->elf.type != ET_EXEC && f->elf.type != ET_DYN)
		return ssi_errf(f->e, -ENOEXEC, "%s is an ELF file, but no program and no library", f->name);
	return elf_segments(f, elf_field(f, h, table), (unsigned)elf_field(f, h, count), (unsigned)elf_field(f, h, size));
}

static const struct elf_segment *elf_segment(const struct elf_file *f, uint32_t type)
{
	for (size_t i = 0; i < f->n_segments; i++)
		if (f->segments[i].type == type)
			return &f->segments[i];
	return NULL;
}

static int elf_interpreter(struct elf_file *f)
{
	const struct elf_segment *s = elf_segment(f, PT_INTERP);
	char *text;
	int r;

	if (!s)
		return 0;
	if (s->size < 2 || s->size > ELF_INTERPRETER)
		return elf_damaged(f, "the name of its interpreter");
	text = ssi_arena_alloc(f->arena, s->size);
	if (!text)
		return -ENOMEM;
	r = elf_load(f, s->offset, text, s->size, "the name of its interpreter");
	if (r < 0)
		return r;
	if (text[s->size - 1] || text[0] != '/')
		return elf_damaged(f, "the name of its interpreter");
	f->elf.interpreter = text;
	return 0;
}

/* --- the dynamic section --- */

/* Where an address of the running program lies in the file. */
static int elf_offset(const struct elf_file *f, uint64_t address, uint64_t *ret)
{
	for (size_t i = 0; i < f->n_segments; i++) {
		const struct elf_segment *s = &f->segments[i];

		if (s->type != PT_LOAD || address < s->address || address - s->address >= s->size)
			continue;
		*ret = s->offset + (address - s->address);
		return 0;
	}
	return elf_damaged(f, "its dynamic section");
}

struct elf_dynamic {
	uint64_t strings, n_strings;
	uint64_t rpath, runpath, needed[SSI_ELF_NEEDED];
	bool has_rpath, has_runpath;
	size_t n_needed;
};

static int elf_tag(const struct elf_file *f, struct elf_dynamic *d, uint64_t tag, uint64_t value)
{
	switch (tag) {
	case DT_STRTAB: d->strings = value; break;
	case DT_STRSZ: d->n_strings = value; break;
	case DT_RPATH: d->rpath = value; d->has_rpath = true; break;
	case DT_RUNPATH: d->runpath = value; d->has_runpath = true; break;
	case DT_NEEDED:
		if (d->n_needed == SSI_ELF_NEEDED)
			return elf_damaged(f, "it asks for more libraries than may be");
		d->needed[d->n_needed++] = value;
		break;
	default: break;
	}
	return 0;
}

/* One string of the table, which may have a megabyte of them. *ret stays NULL where there is none. */
static int elf_string(const struct elf_file *f, const struct elf_dynamic *d, uint64_t table, uint64_t at, const char **ret)
{
	char text[ELF_STRING];
	size_t n = at >= d->n_strings ? 0 : d->n_strings - at < sizeof(text) ? (size_t)(d->n_strings - at) : sizeof(text);
	int r = elf_load(f, table + at, text, n, "its dynamic strings");

	if (r < 0 || !memchr(text, '\0', n))
		return r;
	*ret = ssi_arena_strdup(f->arena, text);
	return *ret ? 0 : ssi_errf(f->e, -ENOMEM, "no memory for %s", f->name);
}

static int elf_strings(struct elf_file *f, const struct elf_dynamic *d)
{
	uint64_t table = 0;
	int r;

	if (!d->n_needed && !d->has_rpath && !d->has_runpath)
		return 0;
	if (!d->n_strings || d->n_strings > SSI_ELF_STRINGS)
		return elf_damaged(f, "its dynamic strings");
	f->elf.needed = ssi_arena_alloc(f->arena, d->n_needed * sizeof(*f->elf.needed) + 1);
	if (!f->elf.needed)
		return ssi_errf(f->e, -ENOMEM, "no memory for %s", f->name);
	r = elf_offset(f, d->strings, &table);
	if (r >= 0 && d->has_rpath)
		r = elf_string(f, d, table, d->rpath, &f->elf.rpath);
	if (r >= 0 && d->has_runpath)
		r = elf_string(f, d, table, d->runpath, &f->elf.runpath);
	for (size_t i = 0; r >= 0 && i < d->n_needed; i++) {
		const char *name = NULL;

		r = elf_string(f, d, table, d->needed[i], &name);
		if (r >= 0 && (!name || !*name))
			return elf_damaged(f, "the name of a library");
		f->elf.needed[f->elf.n_needed++] = name;
	}
	return r;
}

static int elf_dynamic(struct elf_file *f)
{
	const struct elf_segment *s = elf_segment(f, PT_DYNAMIC);
	struct elf_dynamic d = { 0 };
	size_t word = f->elf.wide ? 8 : 4;
	uint8_t *p;
	int r;

	if (!s)
		return 0;
	if (s->size > ELF_DYNAMIC)
		return elf_damaged(f, "its dynamic section");
	p = ssi_arena_alloc(f->arena, s->size + 1);
	if (!p)
		return ssi_errf(f->e, -ENOMEM, "no memory for %s", f->name);
	r = elf_load(f, s->offset, p, s->size, "its dynamic section");
	for (size_t at = 0; r >= 0 && at + 2 * word <= s->size; at += 2 * word) {
		uint64_t tag = elf_get(f, p + at, (unsigned)word);

		if (tag == DT_NULL)
			break;
		r = elf_tag(f, &d, tag, elf_get(f, p + at + word, (unsigned)word));
	}
	return r < 0 ? r : elf_strings(f, &d);
}

/* --- the property note (x86-64 psABI) --- */

static void elf_properties(struct elf_file *f, const uint8_t *p, size_t n)
{
	size_t pad = f->elf.wide ? 8 : 4;

	while (n >= 8) {
		uint32_t type = (uint32_t)elf_get(f, p, 4);
		size_t size = elf_get(f, p + 4, 4), whole = 8 + (size + pad - 1) / pad * pad;

		if (size > n - 8)
			return;
		if (type == ELF_X86_NEEDED && size == 4)
			for (uint32_t bits = (uint32_t)elf_get(f, p + 8, 4) & 15; bits; bits >>= 1)
				f->elf.x86_level++;
		if (whole > n)
			return;
		p += whole;
		n -= whole;
	}
}

static void elf_notes(struct elf_file *f, const uint8_t *p, size_t n, size_t pad)
{
	while (n >= 12) {
		size_t name = elf_get(f, p, 4), body = elf_get(f, p + 4, 4), at = 12 + (name + 3) / 4 * 4, whole;

		if (name > n || body > n || at > n || body > n - at)
			return;
		if (elf_get(f, p + 8, 4) == NT_GNU_PROPERTY_TYPE_0 && name == 4 && memcmp(p + 12, "GNU", 4) == 0)
			elf_properties(f, p + at, body);
		whole = (at + body + pad - 1) / pad * pad;
		if (whole > n)
			return;
		p += whole;
		n -= whole;
	}
}

static int elf_level(struct elf_file *f)
{
	const struct elf_segment *s = elf_segment(f, PT_GNU_PROPERTY);
	uint8_t *p;
	int r;

	if (!s || f->elf.machine != EM_X86_64 || s->size > ELF_NOTES)
		return 0;
	p = ssi_arena_alloc(f->arena, s->size + 1);
	if (!p)
		return ssi_errf(f->e, -ENOMEM, "no memory for %s", f->name);
	r = elf_load(f, s->offset, p, s->size, "its notes");
	if (r >= 0)
		elf_notes(f, p, s->size, f->elf.wide ? 8 : 4);
	return r;
}

int ssi_elf_read(int fd, const char *name, struct ssi_arena *a, struct ssi_elf *ret, struct ssi_err *e)
{
	struct elf_file f = { .fd = fd, .name = name, .arena = a, .e = e };
	int r = elf_header(&f);

	if (r >= 0)
		r = elf_interpreter(&f);
	if (r >= 0)
		r = elf_dynamic(&f);
	if (r >= 0)
		r = elf_level(&f);
	if (r < 0)
		return r;
	*ret = f.elf;
	return 0;
}
