// SPDX-License-Identifier: Apache-2.0

extension UInt64 {
    /// Writes the 16 hexadecimal digits, the highest first, to where there is room for no more than them.
    func storeHexadecimalDigits(in place: UnsafeMutableRawBufferPointer) {
        place.storeBytes(of: UInt32(truncatingIfNeeded: self >> 32).hexadecimalDigits.bigEndian, as: UInt64.self)
        place.storeBytes(
            of: UInt32(truncatingIfNeeded: self).hexadecimalDigits.bigEndian,
            toByteOffset: 8,
            as: UInt64.self
        )
    }
}

extension UInt32 {
    /// The 8 hexadecimal digits, the highest in the highest byte; all of them are worked out together.
    fileprivate var hexadecimalDigits: UInt64 {
        var digits = UInt64(self)
        digits = (digits | digits << 16) & 0x0000_FFFF_0000_FFFF
        digits = (digits | digits << 8) & 0x00FF_00FF_00FF_00FF
        digits = (digits | digits << 4) & 0x0F0F_0F0F_0F0F_0F0F
        // One in the byte of each digit from ten on, which is a letter.
        let letters = (digits + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        let toLetters = UInt64(UInt8(ascii: "a") - UInt8(ascii: "0") - 10)
        return digits + 0x3030_3030_3030_3030 + letters * toLetters
    }
}
