// SPDX-License-Identifier: Apache-2.0

/// Some bits of a word that hold a small number.
struct BitField {
    let offset: Int
    let width: Int
}

/// A value whose parts are bits of one word, so that millions of them fit into memory and two compare at once.
protocol BitPacked: Hashable {
    associatedtype Word: FixedWidthInteger & UnsignedInteger
    var word: Word { get set }
}

extension BitPacked {
    /// The number in a field; a number that does not fit is an error of the model, and never cut off.
    @inline(__always)
    subscript(field: BitField) -> Int {
        get { Int(truncatingIfNeeded: (word >> Word(field.offset)) & ((1 << Word(field.width)) - 1)) }
        set {
            precondition(newValue >= 0 && newValue < 1 << field.width, "the number does not fit its field")
            let mask: Word = ((1 << Word(field.width)) - 1) << Word(field.offset)
            word = (word & ~mask) | (Word(newValue) << Word(field.offset))
        }
    }

    /// Whether the field of one bit is set.
    @inline(__always)
    func isSet(_ field: BitField) -> Bool { self[field] != 0 }
}
