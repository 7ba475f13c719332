//! A closed list of numbers with names, and both directions between them.

/// Makes an enum of a list `Variant = number, "name";`, with `ALL`, `number`, `name` and `from_number`.
///
/// One list serves code, C header and documents, so that none of them can forget an entry.
macro_rules! codes {
    (
        $(#[$outer:meta])*
        pub enum $Name:ident {
            $( $(#[$inner:meta])* $Variant:ident = $number:literal, $text:literal; )+
        }
    ) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $Name {
            $( $(#[$inner])* $Variant, )+
        }

        impl $Name {
            /// Every entry, in the order of the list.
            pub const ALL: &'static [Self] = &[$( Self::$Variant, )+];

            /// The number that travels.
            pub const fn number(self) -> u32 {
                match self {
                    $( Self::$Variant => $number, )+
                }
            }

            /// The name used in documents, headers and messages.
            pub const fn name(self) -> &'static str {
                match self {
                    $( Self::$Variant => $text, )+
                }
            }

            /// The entry with this number, if the list has one.
            pub const fn from_number(number: u32) -> Option<Self> {
                match number {
                    $( $number => Some(Self::$Variant), )+
                    _ => None,
                }
            }

            /// The entry with this name, if the list has one.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $( $text => Some(Self::$Variant), )+
                    _ => None,
                }
            }
        }

        impl core::fmt::Display for $Name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

pub(crate) use codes;
