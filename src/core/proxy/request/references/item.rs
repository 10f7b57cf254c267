//! An object in a request may be an item of a conversation that the backend looks up, or an item
//! that is sent completely.

use serde_json::value::RawValue;

use super::Member;
use crate::json::{LooseName, text_of};

/// What an object says of itself, in case it is an item.
#[derive(Default)]
pub struct Item {
    pub kind: ItemKind,
    has_content: bool,
}

/// Kinds of items, by `type`. If it is doubled, in whatever spelling, the kind that comes last in
/// this list counts.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ItemKind {
    #[default]
    Unsaid,
    Whole,
    /// The backend keeps the item's content.
    Kept,
    Reference,
}

impl Item {
    /// Notes a member. What makes an item complete counts in its exact spelling only.
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

    /// Returns whether the backend takes the item from what it keeps. The sources are OpenAI's API
    /// reference (`ItemReferenceParam`, of which only the id is required), its guide to images, and
    /// reasoning without its encrypted form.
    pub fn is_looked_up(&self) -> bool {
        match self.kind {
            ItemKind::Reference => true,
            ItemKind::Whole => false,
            ItemKind::Unsaid | ItemKind::Kept => !self.has_content,
        }
    }
}
