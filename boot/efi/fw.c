/* SPDX-License-Identifier: MIT */
/* Console, memory and files by UEFI's boot services (UEFI 2.10, chapters 7, 12 and 13.4). */
#include <boot/efi/fw.h>

#include <tern/lib.h>

#define LINE_MAX_CHARS 320
#define PATH_CHARS     160
#define READ_CHUNK     MiB(4)      /* drivers are tried best with reads of ordinary size */
#define SECOND         10000000ull /* in the 100 ns of SetTimer() */

EFI_SYSTEM_TABLE *fw_st;

static EFI_LOADED_IMAGE_PROTOCOL *loaded;
static EFI_FILE_PROTOCOL *root;

bool fw_init(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
	static EFI_GUID loaded_guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;
	static EFI_GUID volume_guid = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
	EFI_FILE_IO_INTERFACE *volume;
	void *interface;
	EFI_STATUS status;

	fw_st = st;
	/* Modules by a slow network may take longer than the five minutes that firmware gives. */
	st->BootServices->SetWatchdogTimer(0, 0, 0, NULL);
	status = st->BootServices->HandleProtocol(image, &loaded_guid, &interface);
	if (EFI_ERROR(status)) {
		fw_say("firmware does not tell how the loader was started (%s)",
		       fw_status_name(status));
		return false;
	}
	loaded = interface;
	status = st->BootServices->HandleProtocol(loaded->DeviceHandle, &volume_guid, &interface);
	if (!EFI_ERROR(status)) {
		volume = interface;
		status = volume->OpenVolume(volume, &root);
	}
	if (EFI_ERROR(status))
		fw_say("cannot read the volume that the loader was started from (%s); start it "
		       "from a FAT partition, or by iPXE",
		       fw_status_name(status));
	return !EFI_ERROR(status);
}

EFI_LOADED_IMAGE_PROTOCOL *fw_loaded_image(void)
{
	return loaded;
}

/* ASCII to UTF-16, cut to fit; what is not ASCII becomes '?'. */
static void widen(const char *from, CHAR16 *to, size_t size)
{
	size_t n = 0;

	for (; *from != '\0' && n < size - 1; from++)
		to[n++] = (CHAR16)((u8)*from < 0x80 ? *from : '?');
	to[n] = 0;
}

void fw_say(const char *fmt, ...)
{
	static const char prefix[] = "ternboot: ";
	CHAR16 wide[LINE_MAX_CHARS + 16];
	char text[LINE_MAX_CHARS];
	va_list ap;

	str_copy(text, prefix, sizeof(text));
	va_start(ap, fmt);
	fmt_vstr(text + sizeof(prefix) - 1, sizeof(text) - sizeof(prefix) + 1, fmt, ap);
	va_end(ap);
	widen(text, wide, ARRAY_SIZE(wide));
	fw_st->ConOut->OutputString(fw_st->ConOut, wide);
	widen("\r\n", wide, ARRAY_SIZE(wide));
	fw_st->ConOut->OutputString(fw_st->ConOut, wide);
}

void fw_wait_key(u32 seconds)
{
	EFI_BOOT_SERVICES *bs = fw_st->BootServices;
	EFI_EVENT events[2];
	EFI_INPUT_KEY key;
	UINTN which;

	fw_say("press a key, or wait %u seconds, to go back to the firmware", seconds);
	if (EFI_ERROR(bs->CreateEvent(EVT_TIMER, 0, NULL, NULL, &events[1])))
		return;
	events[0] = fw_st->ConIn->WaitForKey;
	if (!EFI_ERROR(bs->SetTimer(events[1], TimerRelative, seconds * SECOND)) &&
	    !EFI_ERROR(bs->WaitForEvent(2, events, &which)) && which == 0)
		fw_st->ConIn->ReadKeyStroke(fw_st->ConIn, &key);
	bs->CloseEvent(events[1]);
}

const char *fw_status_name(EFI_STATUS status)
{
	static const char *const names[] = {
		[0] = "success",
		[1] = "load error",
		[2] = "invalid parameter",
		[3] = "unsupported",
		[4] = "bad buffer size",
		[5] = "buffer too small",
		[6] = "not ready",
		[7] = "device error",
		[8] = "write protected",
		[9] = "out of resources",
		[10] = "volume corrupted",
		[11] = "volume full",
		[12] = "no media",
		[13] = "media changed",
		[14] = "not found",
		[15] = "access denied",
		[18] = "timeout",
		[21] = "aborted",
		[26] = "security violation",
	};
	const u64 code = status & ~EFIERR(0);

	return code < ARRAY_SIZE(names) && names[code] ? names[code] : "unknown error";
}

static u64 page_count(u64 len)
{
	return (len >> PAGE_SHIFT) + (len % PAGE_SIZE != 0);
}

EFI_STATUS fw_alloc(EFI_MEMORY_TYPE type, u64 len, u64 align, u64 limit, u64 *pa)
{
	EFI_BOOT_SERVICES *bs = fw_st->BootServices;
	const u64 pages = page_count(len);
	const u64 spare = align > PAGE_SIZE ? (align >> PAGE_SHIFT) - 1 : 0;
	EFI_PHYSICAL_ADDRESS at = limit;
	EFI_STATUS status;
	u64 before;

	status = bs->AllocatePages(limit == FW_ANYWHERE ? AllocateAnyPages : AllocateMaxAddress,
				   type, pages + spare, &at);
	if (EFI_ERROR(status))
		return status;
	/* Firmware aligns to pages only: take enough to find an aligned part, give the rest back. */
	*pa = align_up(at, align);
	before = (*pa - at) >> PAGE_SHIFT;
	if (before > 0)
		bs->FreePages(at, before);
	if (spare > before)
		bs->FreePages(*pa + (pages << PAGE_SHIFT), spare - before);
	return EFI_SUCCESS;
}

void fw_free(u64 pa, u64 len)
{
	if (len > 0)
		fw_st->BootServices->FreePages(pa, page_count(len));
}

/*
 * \tern\NAME, \NAME, and last the name without its folders: iPXE shows what it fetched as files of
 * one flat directory, so that one configuration serves both the disk and the network.
 */
static EFI_STATUS open_file(const char *name, EFI_FILE_PROTOCOL **file)
{
	EFI_STATUS status = EFI_NOT_FOUND;
	const char *base;

	while (*name == '/' || *name == '\\')
		name++;
	base = name;
	for (const char *p = name; *p != '\0'; p++)
		if (*p == '/' || *p == '\\')
			base = p + 1;
	for (u32 attempt = 0; attempt < 3 && status == EFI_NOT_FOUND; attempt++) {
		CHAR16 wide[PATH_CHARS];
		char path[PATH_CHARS];
		int n;

		n = fmt_str(path, sizeof(path), "%s%s", attempt == 0 ? "\\tern\\" : "\\",
			    attempt < 2 ? name : base);
		if ((size_t)n >= sizeof(path))
			return EFI_NOT_FOUND;
		for (char *p = path; *p != '\0'; p++)
			if (*p == '/')
				*p = '\\';
		widen(path, wide, ARRAY_SIZE(wide));
		status = root->Open(root, file, wide, EFI_FILE_MODE_READ, 0);
	}
	return status;
}

/* UEFI 2.10, 13.5, SetPosition(): all ones is the end. A directory refuses it. */
static EFI_STATUS file_len(EFI_FILE_PROTOCOL *file, u64 *len)
{
	EFI_STATUS status = file->SetPosition(file, UINT64_MAX);

	if (!EFI_ERROR(status))
		status = file->GetPosition(file, len);
	if (!EFI_ERROR(status))
		status = file->SetPosition(file, 0);
	return status;
}

static EFI_STATUS read_all(EFI_FILE_PROTOCOL *file, u8 *data, u64 len, u64 *done)
{
	EFI_STATUS status = EFI_SUCCESS;

	for (*done = 0; *done < len;) {
		UINTN n = min_u64(len - *done, READ_CHUNK);

		status = file->Read(file, &n, data + *done);
		if (EFI_ERROR(status) || n == 0)
			break;
		*done += n;
	}
	return status;
}

static EFI_STATUS load_open(const char *name, EFI_FILE_PROTOCOL *handle, struct fw_file *file)
{
	u64 len, pa, done = 0;
	EFI_STATUS status;

	status = file_len(handle, &len);
	if (EFI_ERROR(status)) {
		fw_say("%s: cannot tell its size (%s); is it a directory?", name,
		       fw_status_name(status));
		return status;
	}
	if (len == 0)
		return EFI_SUCCESS;
	status = fw_alloc(EfiLoaderData, len, PAGE_SIZE, FW_BELOW_4G, &pa);
	if (EFI_ERROR(status))
		status = fw_alloc(EfiLoaderData, len, PAGE_SIZE, FW_ANYWHERE, &pa);
	if (EFI_ERROR(status)) {
		fw_say("%s: no memory for its %llu bytes (%s); load less, or add memory", name,
		       (unsigned long long)len, fw_status_name(status));
		return status;
	}
	status = read_all(handle, (void *)pa, len, &done);
	if (EFI_ERROR(status) || done < len) {
		fw_say("%s: read stopped at byte %llu of %llu (%s); check the medium and copy it "
		       "again",
		       name, (unsigned long long)done, (unsigned long long)len,
		       EFI_ERROR(status) ? fw_status_name(status) : "the file was cut");
		fw_free(pa, len);
		return EFI_ERROR(status) ? status : EFI_VOLUME_CORRUPTED;
	}
	file->data = (void *)pa;
	file->len = len;
	return EFI_SUCCESS;
}

EFI_STATUS fw_load_file(const char *name, struct fw_file *file)
{
	EFI_FILE_PROTOCOL *handle;
	EFI_STATUS status;

	*file = (struct fw_file){0};
	status = open_file(name, &handle);
	if (EFI_ERROR(status)) {
		if (status != EFI_NOT_FOUND)
			fw_say("%s: cannot be opened (%s); check the medium", name,
			       fw_status_name(status));
		return status;
	}
	status = load_open(name, handle, file);
	handle->Close(handle);
	return status;
}
