//! Whether an object in a request is an item of a conversation that the backend looks up, or one that is sent whole.

use serde_json::value::RawValue;

use super::Member;
use crate::json::{LooseName, text_of};

/// What an object says of itself, should it be an item.
#[derive(Default)]
pub struct Item {
    pub kind: ItemKind,
    has_content: bool,
}

/// By its `type`. Of one that is given twice, in whatever spelling, the last of these counts.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ItemKind {
    #[default]
    Unsaid,
    Whole,
    /// The backend keeps what is in it.
    Kept,
    Reference,
}

impl Item {
    /// What makes an item whole counts to the letter.
    pub fn note(&mut self, member: Member<'_>, value: &RawValue) {
        if member.loose.is("type") {
            let kind = text_of(value.get()).map(|kind| LooseName::of(kind.as_bytes()));
            let kind = match kind {
                Some(kind) if kind.is("item_reference") => ItemKind::Reference,
                Some(kind) if kind.is("image_generation_call") || kind.is("reasoning") => {
                    ItemKind::Kept
                }
                None => ItemKind::Kept,
                Some(_) if member.name == "type" => ItemKind::Whole,
                Some(_) => ItemKind::Unsaid,
            };
            self.kind = self.kind.max(kind);
        } else if let "content" | "encrypted_content" | "result" = member.name {
            self.has_content |= value.get() != "null";
        }
    }

    /// Whether the backend takes the item from where it keeps it: OpenAI's API reference, `ItemReferenceParam`, of which only
    /// the id is required; its guide to images, for those; reasoning without its encrypted form.
    pub fn is_looked_up(&self) -> bool {
        match self.kind {
            ItemKind::Reference => true,
            ItemKind::Whole => false,
            ItemKind::Unsaid | ItemKind::Kept => !self.has_content,
        }
    }
}
